#!/usr/bin/env bash
# Submits the job scripts of Cluster/ to real schedulers on nodes of this machine (Cluster/local), and looks at what becomes of
# the runs: time limits, requeues, deleted jobs, arrays, hangs, lost nodes. Every run that ends must have the bits of one that
# was not disturbed. PBS has no package: its script runs against stand-ins for qsub, qrerun and qstat.
#
# Usage: Scripts/schedulers.sh [--short] [--only CASE]... [slurm] [gridengine] [pbs]      all three by default
#   --short       the quick cases only; Scripts/tests/ runs these
#   --only CASE   this case, by its name in the table
# Needs root, and a build (swift build -c release). Packages are installed where they are missing. Prints a table: case, seconds,
# verdict; exits with 0 if all are good. Skipped, with a word and exit code 0, where this machine cannot run them.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/schedulers/cases.sh
source "$root/Scripts/schedulers/cases.sh"

short='' only=() schedulers=()
while (($#)); do
    case $1 in
    --short) short=1 ;;
    --only)
        (($# > 1)) || fail "--only needs a case. hint: Scripts/schedulers.sh --only slurm_trains slurm"
        only+=("$2")
        shift
        ;;
    slurm | gridengine | pbs) schedulers+=("$1") ;;
    *) fail "'$1' is not understood. hint: Scripts/schedulers.sh [--short] [--only CASE] [slurm] [gridengine] [pbs]" ;;
    esac
    shift
done
((${#schedulers[@]})) || schedulers=(slurm gridengine pbs)

[[ -x $build/dtrain ]] || fail "$build/dtrain is not there. hint: swift build -c release"
status=0
for scheduler in "${schedulers[@]}"; do
    (
        # shellcheck source=/dev/null
        source "$root/Scripts/schedulers/$scheduler.sh"
        run_all
    ) || status=1
done
exit "$status"
