#!/usr/bin/env bash
# 32 ranks of a tiny network on 8 nodes of Cluster/local: what the launcher and the start cost, every exchange against one rank's
# losses, ranks in an order that is not their nodes', an exact resume, a stopped rank that is told of, and a node that is lost.
# Prints a table: case, seconds in all, seconds until "ready after", verdict. Needs root; many times more ranks than processors are
# no measure of speed.
#
# Usage: Scripts/many-ranks.sh [--nodes N] [--per-node K] [--only CASE]...     8 nodes of 4 ranks by default
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/runs.sh
source "$root/Scripts/runs.sh"

usage="usage: Scripts/many-ranks.sh [--nodes N] [--per-node K] [--only CASE]..."
nodes=8 per_node=4 only=()
while (($#)); do
    case $1 in
    --nodes) nodes=${2:?} ;;
    --per-node) per_node=${2:?} ;;
    --only) only+=("${2:?}") ;;
    *) fail "$usage" ;;
    esac
    shift 2
done
[[ $nodes =~ ^[1-9][0-9]?$ && $per_node =~ ^[1-9][0-9]?$ ]] || fail "$usage"
if ((EUID != 0)) || ! unshare --net --mount --uts ip link add name probe type bridge 2>/dev/null; then
    say "many-ranks: skipped, it needs root and network namespaces"
    exit 0
fi

local=$root/Cluster/local ranks=$((nodes * per_node)) limit=300
export DTRAIN_CLUSTER=many$$
scratch=$(mktemp -d)
trap '"$local/down" 2>/dev/null || true; rm -rf -- "$scratch"' EXIT
PATH=$root/.build/release:$PATH
"$local/up" "$nodes" 2>/dev/null

window=(--image-size 64x48 --hidden 128)
train=("$root/.build/release/dtrain" train --batch-size $((2 * ranks)) --threads 1 --log-every 1
    --synthetic-frames 300 --synthetic-test-frames 8 --stall-timeout 60)
steps=6
# on_all NAME ARGUMENT...: a run on all ranks, its output in NAME.log.
on_all() {
    local name=$1
    shift
    timeout "$limit" "$local/run" --per-node "$per_node" "${train[@]}" --run-dir "$scratch/$name" "$@" >"$scratch/$name.log" 2>&1
}
is_near() {
    paste -d ' ' <(losses "$scratch/alone") <(losses "$scratch/$1") | awk -v steps="$steps" '
        { difference = ($2 - $4) / $2; if (difference < 0) difference = -difference; if (NF != 4 || $1 != $3 || difference > 1e-4) bad = 1 }
        END { exit bad || NR != steps }'
}

launcher() { timeout "$limit" "$local/run" --per-node "$per_node" true; }
exchange() { on_all "$1" --steps "$steps" "${@:2}" && is_near "$1"; }
allreduce() { exchange allreduce "${window[@]}" --exchange allreduce; }
sharded() { exchange sharded "${window[@]}" --exchange sharded; }
split() { exchange split "${window[@]}" --exchange split; }
# Fully connected layers among others, which are divided too; beside allreduce, as one rank's is another network.
stored() {
    local other=(--preset deepprior --crop-size 64 --steps 3)
    on_all other "${other[@]}" --exchange allreduce && on_all stored "${other[@]}" --exchange split &&
        paste -d ' ' <(losses "$scratch/other") <(losses "$scratch/stored") | awk '
            { difference = ($2 - $4) / $2; if (difference < 0) difference = -difference; if (NF != 4 || $1 != $3 || difference > 1e-3) bad = 1 }
            END { exit bad || NR != 3 }'
}
# The nodes by turns: no two neighbours in rank order share a node.
order() {
    local names=()
    for ((rank = 0; rank < ranks; rank++)); do names+=("node$((rank % nodes + 1))"); done
    timeout "$limit" "$local/run" --order "$(IFS=,; printf '%s' "${names[*]}")" "${train[@]}" "${window[@]}" --run-dir "$scratch/order" --steps "$steps" \
        --exchange split >"$scratch/order.log" 2>&1 && is_near order
}
resume() {
    on_all whole "${window[@]}" --steps "$steps" --exchange split && on_all resume "${window[@]}" --steps 3 --exchange split && mv "$scratch/resume.log" "$scratch/first.log" &&
        on_all resume "${window[@]}" --steps "$steps" --exchange split --resume auto || return 1
    local file
    for file in model optimizer; do
        cmp "$scratch/"{whole,resume}"/checkpoints/step-0000000$steps/$file.safetensors" || return 1
    done
}
# The processes of a rank: its supervisor and itself.
processes_of() { grep --files-with-matches --null-data --line-regexp "OMPI_COMM_WORLD_RANK=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3; }
# Ranks of this cluster alone: those in the namespace of a node.
stop_rank() {
    local pid space
    space=$(stat --format %i "/run/netns/$DTRAIN_CLUSTER-node$(($1 / per_node + 1))")
    for pid in $(processes_of "$1"); do
        [[ $(stat --dereference --format %i "/proc/$pid/ns/net" 2>/dev/null) != "$space" ]] || kill -STOP "$pid"
    done
}
watchdog() {
    local process status=0 rank=$((ranks / 2 + 1))
    on_all watchdog "${window[@]}" --exchange split --steps 100000 --stall-timeout 10 &
    process=$!
    await "$limit" grep -qE '^step 3/' "$scratch/watchdog.log" || return 1
    stop_rank "$rank"
    wait "$process" || status=$?
    ((status == 70)) && grep -qE "no progress for 10 s.*\\(stopped\\).*furthest behind: rank $rank;" "$scratch/watchdog.log"
}
# As Scripts/keep-going.sh, which goes into what is lost: a cable is pulled.
node_loss() {
    local process status=0 node=node$((nodes / 2 + 1))
    for ((i = 1; i <= nodes; i++)); do printf 'node%d slots=%d\n' "$i" "$per_node"; done >"$scratch/hosts"
    # shellcheck disable=SC2054 # the commas are Open MPI's
    local start=(env DTRAIN_FAULT=slow OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        OMPI_MCA_plm_rsh_agent="/run/dtrain-cluster/$DTRAIN_CLUSTER/agent" OMPI_MCA_plm_rsh_no_tree_spawn=1
        OMPI_MCA_orte_leave_session_attached=1 OMPI_MCA_btl=vader,self,tcp OMPI_MCA_pml=ob1 OMPI_MCA_orte_tmpdir_base=/dev/shm
        OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24)
    (cd "$scratch" && exec timeout "$limit" "$local/run" --on node1 "${start[@]}" "$root/Cluster/keep-going" --hosts "$scratch/hosts" -- \
        "${train[@]}" "${window[@]}" --stall-timeout 20 --steps "$steps" --exchange split --checkpoint-every 2 --run-dir node_loss >node_loss.log 2>&1) &
    process=$!
    await "$limit" grep -qE '^step 3/' "$scratch/node_loss.log" || return 1
    "$local/link" "$node" down
    wait "$process" || status=$?
    "$local/link" "$node" up 2>/dev/null || true
    ((status == 0)) && grep -q 'restart 1 of' "$scratch/node_loss.log" && grep -q "ranks: $((ranks - per_node)), " "$scratch/node_loss.log" && is_near node_loss
}

"${train[@]}" "${window[@]}" --run-dir "$scratch/alone" --steps "$steps" >"$scratch/alone.log" 2>&1 || { tail "$scratch/alone.log"; fail "one rank alone failed"; }
cases=(launcher allreduce sharded split stored order resume watchdog node_loss) bad=0
for name in "${only[@]}"; do
    [[ " ${cases[*]} " == *" $name "* ]] || fail "no case '$name'. hint: one of ${cases[*]}"
done
printf '%-10s %9s %9s  %s\n' case seconds ready verdict
for name in "${only[@]:-${cases[@]}}"; do
    verdict=good before=$EPOCHREALTIME
    "$name" || verdict=BAD
    seconds=$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    ready=$(sed -n 's/^.*ready after \([0-9.]*\) s.*/\1/p' "$scratch/$name.log" 2>/dev/null | head -n 1 || true)
    printf '%-10s %9s %9s  %s\n' "$name" "$seconds" "${ready:--}" "$verdict"
    [[ $verdict == good ]] || { ((++bad)); tail -n 15 "$scratch/$name.log" 2>/dev/null | cut -c 1-400 | sed 's/^/    /' || true; }
done
say "many-ranks: $bad cases bad of $ranks ranks on $nodes nodes"
((bad == 0))
