#!/usr/bin/env bash
# Scripts/install.sh, tested: the installed binary needs no Swift library and runs where there is none, alone and under
# mpirun, from a path with a space in it.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
prefix="$scratch/a prefix"
mkdir -p "$scratch/home"

"$root/Scripts/install.sh" "$prefix"
dtrain=$prefix/bin/dtrain

needed=$(ldd "$dtrain")
if grep -E 'libswift|libFoundation|lib_Foundation|libdispatch|not found' <<<"$needed"; then
    fail "the installed dtrain needs the libraries above"
fi

# A PATH with mpirun and the system's commands but without Swift, and nothing else from this environment.
mpirun=$(command -v mpirun)
path=$prefix/bin:$(dirname -- "$mpirun"):/usr/bin:/bin
clean=(env -i "PATH=$path" "HOME=$scratch/home" "TMPDIR=$scratch"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
if "${clean[@]}" sh -c 'command -v swift' >/dev/null; then
    fail "swift is in one of $path, so this test would prove nothing"
fi

help=$("${clean[@]}" dtrain --help)
grep -q 'mpirun' <<<"$help" || fail "dtrain --help does not speak of mpirun: $help"

"${clean[@]}" mpirun -np 2 --oversubscribe --bind-to none --timeout 300 \
    dtrain --preset shallow --steps 2 --batch-size 4 --run-dir "$scratch/a run" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "mpirun -np 2 dtrain failed"; }
[[ $(grep -c '"loss"' "$scratch/a run/metrics.jsonl") -ge 1 ]] || fail "the run wrote no loss to metrics.jsonl"
compgen -G "$scratch/a run/checkpoints/step-*/model.safetensors" >/dev/null || fail "the run wrote no checkpoint"
