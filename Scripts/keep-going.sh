#!/usr/bin/env bash
# Cluster/keep-going on three nodes of Cluster/local, a node of which is cut off, killed, stopped or dies at a drawn moment: no run
# may be lost, losses must be those of an undisturbed run to rounding, and no more than two steps may be lost, as the nodes keep
# snapshots. Prints a table: what, to whom, seconds from the loss to the next step, steps lost, restarts, verdict; then a line a kind.
#
# Usage: Scripts/keep-going.sh [--rounds N] [--preset NAME] [--exchange NAME] [--steps N]
#   4 rounds, one of each kind, of a small network with allreduce and 14 steps by default. Needs root.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/runs.sh
source "$root/Scripts/runs.sh"

rounds=4 preset='' exchange=allreduce steps=14
while (($#)); do
    case $1 in
    --rounds) rounds=${2:?} ;;
    --preset) preset=${2:?} ;;
    --exchange) exchange=${2:?} ;;
    --steps) steps=${2:?} ;;
    *) fail "usage: Scripts/keep-going.sh [--rounds N] [--preset NAME] [--exchange NAME] [--steps N]" ;;
    esac
    shift 2
done
if ((EUID != 0)) || ! unshare --net --mount --uts ip link add name probe type bridge 2>/dev/null; then
    say "keep-going: skipped, it needs root and network namespaces"
    exit 0
fi

local=$root/Cluster/local
export DTRAIN_CLUSTER=going$$
scratch=$(mktemp -d)
trap '"$local/down" 2>/dev/null || true; rm -rf -- "$scratch"' EXIT
PATH=$root/.build/release:$PATH
"$local/up" 3 2>/dev/null
printf '%s\n' '# name, ranks' 'node1 slots=1' '' 'node2' 'node3 slots=1   # the last' >"$scratch/hosts"

# Checkpoints are rarer than snapshots, which come with every step or two, as a step takes a second.
settings=(--steps "$steps" --log-every 1 --checkpoint-every 6 --stall-timeout 5 --exchange "$exchange" --synthetic-frames 200 --synthetic-test-frames 6)
if [[ -n $preset ]]; then
    settings+=(--preset "$preset" --batch-size 12)
else
    settings+=(--image-size 96x64 --hidden 256 --batch-size 12)
fi
# A step takes a second, so that there is a moment to be hit.
# shellcheck disable=SC2054 # the commas are Open MPI's
train=(env DTRAIN_FAULT=slow OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_plm_rsh_agent="/run/dtrain-cluster/$DTRAIN_CLUSTER/agent" OMPI_MCA_plm_rsh_no_tree_spawn=1
    OMPI_MCA_orte_leave_session_attached=1 OMPI_MCA_btl=vader,self,tcp OMPI_MCA_pml=ob1 OMPI_MCA_orte_tmpdir_base=/dev/shm
    OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
    "$root/Cluster/keep-going" --hosts "$scratch/hosts" -- "$root/.build/release/dtrain" train "${settings[@]}")

at_step() { grep -qE "^step $2/" "$1"; }
# begun LOG N: the run made its first step for the Nth time.
begun() { (($(grep -c '^first step done' "$1") >= $2)); }
processes() { ip netns pids "$DTRAIN_CLUSTER-$1" | xargs -r; }
# shellcheck disable=SC2046 # a list of processes
strike() {
    case $1 in
    cut) "$local/link" "$2" down ;;
    dies)
        "$local/link" "$2" down
        kill -KILL $(processes "$2")
        find "/run/dtrain-cluster/$DTRAIN_CLUSTER/memory/$2" -mindepth 1 -delete
        ;;
    killed) kill -KILL $(processes "$2") ;;
    stopped) kill -STOP $(processes "$2") ;;
    esac
}

(cd "$scratch" && "$local/run" --on node1 "${train[@]}" --run-dir whole >whole.log 2>&1) || { tail "$scratch/whole.log"; fail "the undisturbed run failed"; }
[[ $(losses "$scratch/whole" | wc -l) == "$steps" ]] || fail "the undisturbed run logged no $steps losses"
# steps_lost LOG: the last step before the first restart, less the step that it went on from.
steps_lost() {
    awk '/^step [0-9]+\// && !again { split($2, at, "/"); last = at[1] }
        /going on from what was kept/ { again = 1 }
        again && /^resumed: / { print last - $NF; exit }' "$1"
}
kinds=(cut killed stopped dies) lost=0
printf '%-9s %-6s %14s %11s %9s  %s\n' what node 'seconds to go' 'steps lost' restarts verdict
for ((round = 0; round < rounds; round++)); do
    kind=${kinds[round % 4]} node=node$((RANDOM % 2 + 2)) log=$scratch/$round.log verdict=good status=0 seconds=-
    (cd "$scratch" && exec "$local/run" --on node1 "${train[@]}" --run-dir "$round" >"$log" 2>&1) &
    process=$!
    await 90 at_step "$log" 4 || verdict="BAD: no step 4"
    sleep "0.$((RANDOM % 10))"
    before=$EPOCHREALTIME
    strike "$kind" "$node"
    if await 120 begun "$log" 2; then
        seconds=$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    else
        verdict="BAD: it does not go on"
    fi
    [[ $kind != cut && $kind != dies ]] || "$local/link" "$node" up 2>/dev/null || true
    if [[ $verdict == good ]]; then
        wait "$process" || status=$?
        ((status == 0)) || verdict="BAD: exit code $status"
    fi
    kill -KILL "$process" 2>/dev/null || true
    gone=$(steps_lost "$log")
    [[ $verdict != good || ($gone =~ ^[0-9]+$ && $gone -le 2) ]] || verdict="BAD: ${gone:-no} steps lost"
    paste -d ' ' <(losses "$scratch/whole") <(losses "$scratch/$round") | awk '
        { difference = ($2 - $4) / $2; if (difference < 0) difference = -difference; if (NF != 4 || $1 != $3 || difference > 1e-3) bad = 1 }
        END { exit bad }' || verdict="BAD: losses differ"
    # Whatever was stopped, or is left.
    # shellcheck disable=SC2046
    kill -KILL $(for n in node2 node3; do processes "$n"; done) 2>/dev/null || true
    printf '%-9s %-6s %14s %11s %9s  %s\n' "$kind" "$node" "$seconds" "${gone:--}" "$(grep -c 'restart [0-9]* of' "$log")" "$verdict" |
        tee -a "$scratch/table"
    [[ $verdict == good ]] || { ((++lost)); grep -v '^step' "$log" | tail -n 25 | sed 's/^/    /'; }
done
for kind in "${kinds[@]}"; do
    awk -v kind="$kind" '$1 == kind { print $3, $4, $NF == "good" }' "$scratch/table" | sort -n | awk -v kind="$kind" '
        { seconds[NR] = $1; if ($2 > most) most = $2; good += $3 }
        END { if (NR) printf "%s: %d of %d runs lost, %s to %s s, median %s, at most %d steps lost\n",
            kind, NR - good, NR, seconds[1], seconds[NR], seconds[int((NR + 1) / 2)], most }'
done
say "keep-going: $lost of $rounds runs lost"
((lost == 0))
