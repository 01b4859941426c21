# Shared by the scripts beside it, which source it: the cluster's name and place, checks, a node's inside, taking down.
#
# A node is a network namespace, NAME-node1, NAME-node2, ..., whose interface eth0 is one end of a veth pair; the other ends
# are ports of a bridge in the namespace NAME-switch. Nothing of it is in the machine's own network, so addresses and
# interface names cannot collide with anything, and deleting the namespaces deletes it all.
# shellcheck shell=bash
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=Scripts/setup.sh
source "$here/../../Scripts/setup.sh"
say() { printf 'Cluster/local/%s: %s\n' "${0##*/}" "$*" >&2; }

# shellcheck disable=SC2034 # up and run use it
subnet=10.77.0
# Two clusters at a time need two names.
cluster=${DTRAIN_CLUSTER:-dtrain}
[[ $cluster =~ ^[a-z][a-z0-9]{0,31}$ ]] ||
    fail "DTRAIN_CLUSTER=$cluster is no name for a cluster. hint: small letters and digits, such as DTRAIN_CLUSTER=second"
# The cluster's: hosts (its /etc/hosts), nodes (a line each: name, processors), bandwidth; made last of all.
state=/run/dtrain-cluster/$cluster
# What a batch system over the nodes keeps (slurm, gridengine): not in /run, where nothing may be executed on many systems.
service=/var/lib/dtrain-cluster/$cluster

check_tools() {
    local tool
    ((EUID == 0)) || fail "a cluster of network namespaces needs root. hint: sudo ${0} ..."
    for tool in ip tc nsenter unshare taskset flock; do
        command -v "$tool" >/dev/null ||
            fail "no '$tool' on PATH. hint: sudo apt-get install -y iproute2 util-linux"
    done
}

# `up` and `down` one at a time.
lock() {
    exec {lock_file}</run
    flock --wait 60 "$lock_file" || fail "another up or down has been at work for a minute. hint: see 'fuser /run'"
}

# The cluster's namespaces that exist, one a line.
namespaces() {
    # It also speaks of namespaces that are not the cluster's.
    ip netns list 2>/dev/null | cut -d ' ' -f 1 | grep -Ex "$cluster-(switch|node[0-9]+)" || true
}

is_namespace() { [[ $(stat --file-system --format %T "/run/netns/$1" 2>/dev/null) == nsfs ]]; }

check_up() {
    local node
    [[ -e $state/nodes ]] || fail "no cluster '$cluster' is up. hint: Cluster/local/up 2 1gbit"
    while read -r node _; do
        is_namespace "$cluster-$node" ||
            fail "the cluster '$cluster' has lost $node (a restart of the machine?). hint: Cluster/local/down, then up"
    done <"$state/nodes"
}

# processors_of NODE: the list of processors the node may use; fails when there is no such node.
processors_of() {
    awk -v node="$1" '$1 == node { print $2; found = 1 } END { exit !found }' "$state/nodes" ||
        fail "the cluster '$cluster' has no node '$1'. hint: one of $(cut -d ' ' -f 1 "$state/nodes" | tr '\n' ' ')"
}

# enter NODE COMMAND...: becomes COMMAND on the node, which has its own network, host name, /etc/hosts, /dev/shm and
# processors, and shares files and processes with the machine. What lies in its /dev/shm stays there, as on a real node.
enter() {
    local node=$1 processors
    processors=$(processors_of "$node")
    shift
    # shellcheck disable=SC2016
    exec nsenter --net="/run/netns/$cluster-$node" unshare --mount --uts sh -c '
        hostname "$1" && mount --bind "$2" /etc/hosts && mount --bind "$3" /dev/shm && shift 3 && exec "$@"' \
        sh "$node" "$state/hosts" "$state/memory/$node" taskset --cpu-list "$processors" "$@"
}

# forget NODE: what lies in its memory is gone, as after a loss of power.
forget() { find "$state/memory/$1" -mindepth 1 -delete; }

# Ends what runs on the nodes and removes all that `up` made, whole or not.
take_down() {
    local spaces space processes patience
    mapfile -t spaces < <(namespaces)
    # Two seconds to end by themselves, after that not.
    for ((patience = 20; patience >= 0 && ${#spaces[@]}; patience--)); do
        mapfile -t processes < <(for space in "${spaces[@]}"; do ip netns pids "$space"; done)
        ((${#processes[@]})) || break
        kill -s "$( ((patience)) && echo TERM || echo KILL)" "${processes[@]}" 2>/dev/null || true
        sleep 0.1
    done
    for space in "${spaces[@]}"; do
        ip netns delete "$space"
    done
    for space in "$state"/memory/*; do
        # Lazily: a process that is ending may still have a file in it.
        ! mountpoint --quiet "$space" || umount --lazy "$space"
    done
    rm -rf -- "$state" "$service"
    rmdir -- "${state%/*}" "${service%/*}" 2>/dev/null || true
}
