#!/usr/bin/env bash
# bench-pair.py measures a program on two ranks beside itself, by turns, and leaves no process behind; a run that ends is told of in
# one line.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

if ! command -v mpirun python3 >/dev/null; then
    say "bench-pair: skipped, it needs mpirun and python3"
    exit 0
fi
dtrain=$root/.build/release/dtrain
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
((EUID != 0)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

pair() {
    TMPDIR=$scratch timeout 200 python3 "$root/Scripts/bench-pair.py" --launcher "mpirun -np 2 --oversubscribe --bind-to none" --slice 0.5 \
        --seconds 6 "$dtrain" "$dtrain" --image-size 64x48 --hidden 64 --batch-size 20 --synthetic-frames 400 --synthetic-test-frames 40 "$@"
}

pair --exchange allreduce >"$scratch/output"
grep -Eq ' ms a step, median of [0-9]+ slices$' "$scratch/output" || fail "no step times: $(<"$scratch/output")"
ratio=$(sed -nE 's/^ratio: ([0-9.]+), quartiles .*/\1/p' "$scratch/output")
awk -v ratio="${ratio:-0}" 'BEGIN { exit !(ratio > 0.3 && ratio < 3) }' || fail "a program beside itself has the ratio '$ratio'"
! pgrep -f -- "--run-dir $scratch" >/dev/null || fail "processes are left: $(pgrep -af -- "--run-dir $scratch")"

if pair --exchange nonsense >"$scratch/output" 2>"$scratch/error"; then fail "a run that ends at once is measured"; fi
(($(wc -l <"$scratch/error") == 1)) || fail "not one line: $(<"$scratch/error")"
grep -q '^bench-pair.py: a run ended with status ' "$scratch/error" || fail "it says: $(<"$scratch/error")"
say "bench-pair: a program is as fast as itself ($ratio), and nothing is left running"
