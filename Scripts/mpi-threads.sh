#!/usr/bin/env bash
# Who should carry parts of a checkpoint beside the steps: a second thread that calls MPI, or the one that makes the steps?
# Times small sums on two ranks with nothing beside them, with either, in turn.
#
# Usage: Scripts/mpi-threads.sh [ROUNDS] [SECONDS]      3 rounds of 2 s
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mpicc -O2 -o "$work/threads" "$root/Scripts/mpi-threads/threads.c" -lpthread
for ((round = 1; round <= ${1:-3}; round++)); do
    for way in none main thread; do
        # The program leaves with messages under way, which mpirun has words for.
        run_ranks 2 "$work/threads" "$way" "${2:-2}" 2>/dev/null || true
    done
done
