#!/usr/bin/env bash
# Scripts/install.sh, tested: the installed binary needs no Swift library and runs where there is none, alone and under
# mpirun, from a path with a space in it; so does that of a bundle, with the libraries that are in it. (Scripts/bundle-trial.sh
# tries a bundle where there is nothing but Open MPI.)
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

# A bundle.
"$root/Scripts/install.sh" --bundle "$scratch/dtrain.tar.gz"
(($(stat --format %s "$scratch/dtrain.tar.gz") < 40000000)) || fail "the bundle is larger than 40 MB: $(stat --format %s "$scratch/dtrain.tar.gz")"
mkdir "$scratch/another place"
tar -xzf "$scratch/dtrain.tar.gz" -C "$scratch/another place"
place="$scratch/another place/dtrain"
needed=$(ldd "$place/bin/dtrain")
for library in libopenblas libspng libgfortran; do
    line=$(grep -F "$library.so" <<<"$needed") || fail "dtrain does not need $library: $needed"
    [[ $line == *"=> $place/"* ]] || fail "dtrain does not take $library from its bundle: $line"
done
! compgen -G "$place/lib/libmpi*" || fail "the bundle holds an MPI"
clean[2]="PATH=$place/bin:$(dirname -- "$mpirun"):/usr/bin:/bin"
"${clean[@]}" mpirun -np 2 --oversubscribe --bind-to none --timeout 300 \
    dtrain --preset shallow --steps 2 --batch-size 4 --run-dir "$scratch/a bundle's run" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "mpirun -np 2 dtrain failed with the bundle"; }
for script in slurm/train.sbatch sge/train.sge pbs/train.pbs README.md; do
    [[ -r $place/Cluster/$script ]] || fail "the bundle has no Cluster/$script"
done
[[ -r $place/bin/dtrain-job.sh && -r $prefix/bin/dtrain-job.sh ]] || fail "dtrain-job.sh, which the job scripts need, is not beside dtrain"
