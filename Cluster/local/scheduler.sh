# Shared by slurm and gridengine, which source it: a batch system over the nodes of Cluster/local. They set DTRAIN_CLUSTER
# first, and define start (the daemons, in $service), again NODE, environment, and the packages needed.
# All daemons and jobs live on the nodes, so Cluster/local's own taking down ends them; files are in $service alone, and the
# packages' own configuration and spool are left as they are.
# shellcheck shell=bash
# shellcheck source=Cluster/local/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"

usage="usage: Cluster/local/${0##*/} up [N], run COMMAND..., lose NODE, again NODE, or down"

# missing COMMANDS: those of them, side by side in one word, that are not on PATH.
missing() {
    local command
    for command in $1; do command -v "$command" >/dev/null || printf "'%s' " "$command"; done
}

# install_scheduler COMMANDS PACKAGE...: installs the packages unless all the commands are there. Their daemons are not to start by
# themselves: policy-rc.d says so, as Debian has it.
install_scheduler() {
    local commands=$1 policy=/usr/sbin/policy-rc.d status=0
    shift
    [[ -n $(missing "$commands") ]] || return 0
    command -v apt-get >/dev/null || fail "no $(missing "$commands")on PATH. hint: install what matches these Debian packages: $*"
    say "installing $*"
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f -- /usr/sbin/policy-rc.d' EXIT
    fi
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } \
        >"$log" 2>&1 </dev/null || status=$?
    if [[ $(trap -p EXIT) == *policy-rc.d* ]]; then
        rm -f -- "$policy"
        trap - EXIT
    fi
    ((status == 0)) && [[ -z $(missing "$commands") ]] ||
        fail "$* cannot be installed, or have no $(missing "$commands"): $(tail -n 1 "$log"). hint: apt-get install $*"
}

# on NODE COMMAND...: the command on the node.
on() { "$here/run" --on "$@"; }

# daemon NODE COMMAND...: starts a daemon on the node, which writes to $service/NODE-COMMAND.out.
daemon() {
    setsid "$here/run" --on "$@" </dev/null >>"$service/$1-${2##*/}.out" 2>&1 &
    disown
}

# await SECONDS WHAT COMMAND...: runs the command until it succeeds.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "$what. hint: see $(cd -- "$service" && find . -name '*.out' -size +0 -exec tail -n 2 {} + | tr '\n' ' ')"
        sleep 0.1
    done
}

# abandon CODE: ends `up` while Cluster/local/up makes the nodes, or is about to.
abandon() {
    local status=1
    if [[ -n ${!:-} ]]; then
        kill -TERM $! 2>/dev/null || true
        status=0
        wait $! || status=$?
    fi
    # Where it was quicker than the signal the nodes are there; 127: it was waited for already, and had not failed.
    ((status != 0 && status != 127)) || take_down
    exit "$1"
}

up() {
    local count=${1:-2}
    (($# <= 1)) && [[ $count =~ ^[1-9][0-9]?$ ]] || fail "'$*' is no number of nodes from 1 to 99. hint: $usage"
    check_tools
    log=$(mktemp)
    install
    rm -f -- "$log"
    # A signal to this script is one to that: it leaves nothing behind.
    trap 'abandon 130' INT
    trap 'abandon 143' TERM
    "$here/up" "$count" &
    wait $! || exit
    # Whatever happens from here on, and Ctrl-C: all or nothing.
    trap 'take_down' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mapfile -t nodes < <(cut -d ' ' -f 1 "$state/nodes")
    mkdir -p -- "$service"
    chmod 755 "${service%/*}" "$service"
    environment
    start
    trap - EXIT
    say "$count nodes are up. try: Cluster/local/${0##*/} run $try"
}

# A node that dies: its cable is pulled, and all that runs there is killed.
lose() {
    [[ $1 != node1 ]] || fail "node1 has the controller. hint: lose another node"
    processors_of "$1" >/dev/null
    "$here/link" "$1" down
    local processes
    mapfile -t processes < <(ip netns pids "$cluster-$1")
    ((${#processes[@]} == 0)) || kill -KILL "${processes[@]}" 2>/dev/null || true
    forget "$1"
}

dispatch() {
    local action=${1:-}
    shift || true
    case $action in
    up) up "$@" ;;
    down)
        (($# == 0)) || fail "$usage"
        "$here/down"
        ;;
    run | lose | again)
        (($#)) || fail "$usage"
        check_tools
        check_up
        [[ -e $service ]] || fail "the cluster '$cluster' has no ${0##*/}. hint: Cluster/local/down, then Cluster/local/${0##*/} up"
        environment
        if [[ $action == run ]]; then
            # Open MPI refuses root unless told twice.
            ((EUID != 0)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
            enter node1 "$@"
        fi
        processors_of "$1" >/dev/null
        [[ $action == lose ]] || "$here/link" "$1" up
        "$action" "$1"
        ;;
    *) fail "$usage" ;;
    esac
}
