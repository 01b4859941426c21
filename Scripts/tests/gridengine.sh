#!/usr/bin/env bash
# The job script for gridengine on a real scheduler: the quick cases of Scripts/schedulers.sh, which has all of them.
exec "$(dirname -- "${BASH_SOURCE[0]}")/../schedulers.sh" --short gridengine
