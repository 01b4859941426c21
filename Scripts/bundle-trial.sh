#!/usr/bin/env bash
# Tries a bundle of Scripts/install.sh --bundle where there is nothing but Open MPI: in a fresh root of each Debian release, made by
# mmdebstrap (which is installed where it is missing; 250 to 400 MB of packages are downloaded for each). It trains alone, and by
# mpirun on two ranks; a run in two parts, the second resumed, must have the bits of one in one part.
#
# Usage: Scripts/bundle-trial.sh FILE.tar.gz [RELEASE...]      bookworm and trixie by default. Needs root.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

[[ ${1:-} == *.tar.gz && -r $1 ]] || fail "usage: Scripts/bundle-trial.sh FILE.tar.gz [RELEASE...]. hint: Scripts/install.sh --bundle FILE.tar.gz"
((EUID == 0)) || fail "a root of its own needs root. hint: sudo Scripts/bundle-trial.sh $*"
bundle=$(readlink -f -- "$1")
shift
(($#)) || set -- bookworm trixie
requirements=('command -v mmdebstrap | mmdebstrap')
install_packages

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# What runs inside. PRTE: the launcher of Open MPI 5, which has a refusal of its own.
cat >"$scratch/inside" <<'END'
set -eu
export HOME=/root PATH=/opt/dtrain/bin:/usr/bin:/bin
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
cd /root
sed -n 's/^PRETTY_NAME=//p' /etc/os-release
mpirun --version | head -n 1
if ldd /opt/dtrain/bin/dtrain | grep 'not found'; then exit 1; fi
small="--preset shallow --batch-size 4 --synthetic-frames 40 --synthetic-test-frames 4"
dtrain train $small --steps 2 --run-dir alone
two() { timeout 300 mpirun -np 2 --oversubscribe --bind-to none dtrain train --resume auto $small "$@"; }
two --steps 4 --run-dir whole
two --steps 2 --run-dir parts
two --steps 4 --run-dir parts
for file in model.safetensors optimizer.safetensors; do
    cmp "whole/checkpoints/step-00000004/$file" "parts/checkpoints/step-00000004/$file"
done
END

status=0
for release in "$@"; do
    rm -rf -- "$scratch/root"
    mmdebstrap --quiet --variant=apt --include=openmpi-bin "$release" "$scratch/root" >"$scratch/log" 2>&1 ||
        { tail -n 5 "$scratch/log"; fail "no root of $release could be made. hint: is its mirror within reach?"; }
    tar -xzf "$bundle" -C "$scratch/root/opt"
    cp -- "$scratch/inside" "$scratch/root/root/inside"
    # Mounts of its own, which end with it.
    # shellcheck disable=SC2016
    if unshare --mount --pid --fork sh -c 'mount -t proc proc "$1/proc" && mount -t sysfs -o ro sysfs "$1/sys" &&
        mount --rbind /dev "$1/dev" && exec chroot "$1" sh /root/inside' sh "$scratch/root" >"$scratch/log" 2>&1; then
        say "$release: good: $(head -n 2 "$scratch/log" | tr '\n' ' ')"
    else
        cat -- "$scratch/log"
        say "$release: BAD"
        status=1
    fi
done
exit "$status"
