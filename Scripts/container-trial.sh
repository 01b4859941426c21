#!/usr/bin/env bash
# Builds Cluster/container/Dockerfile by buildah, from a base made by mmdebstrap (no registry is asked), trains in it, and runs the
# command lines of Cluster/container/mpijob.yaml, sshd and mpirun, on two nodes of Cluster/local, with what the mpi-operator sets.
#
# Usage: Scripts/container-trial.sh FILE.tar.gz      the bundle of Scripts/install.sh --bundle. Needs root; installs buildah,
#                                                    mmdebstrap and openssh-client where they are missing.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

[[ $# == 1 && $1 == *.tar.gz && -r $1 ]] || fail "usage: Scripts/container-trial.sh FILE.tar.gz. hint: Scripts/install.sh --bundle FILE.tar.gz"
((EUID == 0)) || fail "images and nodes need root. hint: sudo Scripts/container-trial.sh $*"
if [[ -z ${DTRAIN_TRIAL:-} ]]; then
    # Mounts of its own, which end with it.
    DTRAIN_TRIAL=1 exec unshare --mount "$0" "$@"
fi
requirements=('command -v buildah | buildah' 'command -v mmdebstrap | mmdebstrap' 'command -v ssh-keygen | openssh-client')
install_packages

scratch=$(mktemp -d)
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs DTRAIN_CLUSTER=kube$$
image() { buildah --root "$scratch/storage" --runroot "$scratch/run" "$@"; }
clean() {
    "$root/Cluster/local/down" 2>/dev/null || true
    umount --recursive "${place:-$scratch}/dev" "${place:-$scratch}/proc" 2>/dev/null || true
    image rm --all >/dev/null 2>&1 || true
    rm -rf -- "$scratch"
}
trap clean EXIT
step() {
    local what=$1
    shift
    "$@" >"$scratch/log" 2>&1 || { tail -n 30 "$scratch/log"; fail "$what: BAD"; }
    say "$what: good"
}

mkdir "$scratch/context"
cp -- "$root/Cluster/container/Dockerfile" "$scratch/context/"
cp -- "$1" "$scratch/context/dtrain.tar.gz"
step "base (Debian bookworm)" mmdebstrap --quiet --variant=apt bookworm "$scratch/context/base.tar"
printf 'FROM scratch\nADD base.tar /\n' >"$scratch/context/base"
step "image of the base" image bud --file "$scratch/context/base" --tag base "$scratch/context"
rm -- "$scratch/context/base.tar"
step "Dockerfile" image bud --network host --build-arg BASE=localhost/base --tag dtrain "$scratch/context"

small=(--preset shallow --steps 4 --batch-size 4 --synthetic-frames 40 --synthetic-test-frames 4)
container=$(image from localhost/dtrain)
step "two ranks in a container" image run --network host "$container" mpirun -np 2 --oversubscribe --bind-to none \
    dtrain train --resume auto --exchange auto --run-dir first "${small[@]}"

# words SECTION: command and arguments of the MPIJob's section, one a line.
words() {
    sed -n "/^    $1:/,/resources:\|volumeMounts:/p" "$root/Cluster/container/mpijob.yaml" |
        grep -E '^ +(command:|args:|- )' | grep -v ': [a-z]' | sed -E 's/^ +(command: |args: |args:|- )//; s/[][",]//g' | tr -s ' ' '\n'
}
place=$(image mount "$container")
"$root/Cluster/local/up" 2 2>/dev/null
mkdir -p -- "$place/home/mpiuser/.ssh" "$place/data/runs" "$place/etc/mpi"
ssh-keygen -q -t rsa -N '' -f "$place/home/mpiuser/.ssh/id_rsa"
cp -- "$place/home/mpiuser/.ssh/id_rsa.pub" "$place/home/mpiuser/.ssh/authorized_keys"
chown -R 1000:1000 "$place/home/mpiuser" "$place/data"
printf '%s slots=1\n' node1 node2 >"$place/etc/mpi/hostfile"
cp -- "/run/dtrain-cluster/$DTRAIN_CLUSTER/hosts" "$place/etc/hosts"
mount -t proc proc "$place/proc"
mount --bind /dev "$place/dev"
inside() {
    local node=$1
    shift
    "$root/Cluster/local/run" --on "$node" chroot --userspec 1000:1000 "$place" env -i HOME=/home/mpiuser \
        PATH=/opt/dtrain/bin:/usr/local/bin:/usr/bin:/bin OMPI_MCA_orte_keep_fqdn_hostnames=true \
        OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile OMPI_MCA_plm_rsh_args='-o ConnectionAttempts=10' "$@"
}
mapfile -t worker < <(words Worker)
mapfile -t launcher < <(words Launcher | grep -vxE -- '--data|/data/icvl')
say "worker: ${worker[*]}"
say "launcher: ${launcher[*]}"
for node in node1 node2; do
    inside "$node" "${worker[@]}" >"$scratch/$node.log" 2>&1 &
done
sleep 1
step "the MPIJob's command lines on two nodes" inside node1 sh -c 'cd && exec "$@"' sh "${launcher[@]}" "${small[@]}"
grep -q 'rank 1 on node2' "$scratch/log" || fail "rank 1 was not on node2"
