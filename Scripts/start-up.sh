#!/usr/bin/env bash
# How long a run takes to be ready for its first step, on the clock and of the processors' time of all ranks (which other load
# changes less), for several programs by turns.
#
# Usage: Scripts/start-up.sh [dtrain arguments]      with none: --preset seed --exchange split
#   DTRAIN=FILE...   programs (.build/release/dtrain)
#   RANKS=N          ranks (4), of THREADS threads each (2)
#   ROUNDS=N         rounds (3)
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

read -ra programs <<<"${DTRAIN:-$root/.build/release/dtrain}"
arguments=("$@")
(($#)) || arguments=(--preset seed --exchange split)
((EUID)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
session=
# The processes of the session, all of which are this script's.
members() { awk -v session="$1" '{ sub(/^.*\) /, ""); if ($4 == session) print FILENAME }' /proc/[0-9]*/stat 2>/dev/null | cut -d/ -f3 || true; }
end_session() {
    local pid
    [[ -n $session ]] || return 0
    for pid in $(members "$session"); do kill -KILL "$pid" 2>/dev/null || true; done
    wait "$session" 2>/dev/null || true
    session=
}
trap 'end_session; rm -rf -- "$work"' EXIT

printf '%-16s %8s %10s\n' program 'ready s' 'of CPU s'
for ((round = 1; round <= ${ROUNDS:-3}; round++)); do
    for program in "${programs[@]}"; do
        rm -rf -- "$work/run"
        setsid mpirun -np "${RANKS:-4}" --oversubscribe --bind-to none "$program" train "${arguments[@]}" --threads "${THREADS:-2}" \
            --steps 1000000 --run-dir "$work/run" >"$work/out" 2>&1 &
        session=$!
        until grep -q 'ready after [0-9.]* s' "$work/out"; do
            kill -0 "$session" 2>/dev/null || fail "$program ended: $(tail -n 1 "$work/out")"
            sleep 0.02
        done
        used=$(for pid in $(members "$session"); do cat "/proc/$pid/stat" 2>/dev/null || true; done |
            awk -v ticks="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); sum += $12 + $13 } END { printf "%.1f", sum / ticks }')
        printf '%-16s %8s %10s\n' "$(basename -- "$program")" "$(grep -o 'ready after [0-9.]*' "$work/out" | cut -d' ' -f3)" "$used"
        end_session
    done
done
