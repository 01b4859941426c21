#!/usr/bin/env bash
# The job script for PBS against stand-ins for qsub, qrerun and qstat; see Scripts/schedulers.sh, which has all cases.
exec "$(dirname -- "${BASH_SOURCE[0]}")/../schedulers.sh" --short pbs
