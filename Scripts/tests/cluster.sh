#!/usr/bin/env bash
# Cluster/local, tested: nodes are separate and their links keep to the bandwidth, dtrain trains across them as on one rank,
# a node can be cut off, and nothing is left behind, also after a kill. Needs root and network namespaces.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

local=$root/Cluster/local build=$root/.build/release
if ((EUID != 0)); then
    say "cluster: skipped, it needs root"
    exit 0
elif ! { command -v ip && command -v tc; } >/dev/null; then
    say "cluster: skipped, it needs ip and tc (iproute2)"
    exit 0
elif ! unshare --net --mount --uts ip link add name probe type bridge 2>/dev/null; then
    say "cluster: skipped, no right to make network namespaces here"
    exit 0
fi

# A cluster of its own, whatever else is up.
export DTRAIN_CLUSTER=test$$
scratch=$(mktemp -d)
trap '"$local/down" 2>/dev/null; rm -rf -- "$scratch"' EXIT

# refused WORD COMMAND...: the command fails with one line that has the word and a hint.
refused() {
    local word=$1 status=0
    shift
    "$@" >"$scratch/refused" 2>&1 || status=$?
    [[ $status == 1 && $(wc -l <"$scratch/refused") == 1 && $(<"$scratch/refused") == *"$word"*"hint: "* ]] ||
        fail "not refused in one line with '$word' (status $status): $*: $(<"$scratch/refused")"
}

# What of a cluster there is: namespaces, files, Open MPI's session directories, processes.
remains() {
    ip netns list | grep -E "^$DTRAIN_CLUSTER-" || true
    find /run/dtrain-cluster -path "*/$DTRAIN_CLUSTER*" 2>/dev/null || true
    compgen -G '/tmp/ompi.node*' || true
    pgrep --full --list-full "^sleep 60\.$$" || true
}
nothing_remains() { [[ -z $(remains) ]] || fail "$1 left: $(remains)"; }

# megabytes_per_second: what each rank moves each way in a sum of 25 MB, best of three; a ring's two ranks send it once.
megabytes_per_second() {
    timeout 60 "$local/run" "$build/mpi-probe" rate 6250000 3 >"$scratch/rate" || fail "mpi-probe failed"
    sed -n 's/.*"rank":0,"seconds":\([0-9.e-]*\).*/\1/p' "$scratch/rate" | awk '{ printf "%.0f", 25 / $1 }'
}
# The count of bytes that left a node, at its port.
sent_by() { ip netns exec "$DTRAIN_CLUSTER-$1" cat /sys/class/net/eth0/statistics/tx_bytes; }

refused 'no cluster' "$local/run" true
refused 'number of nodes' "$local/up" 0
refused 'bandwidth' "$local/up" 2 fast
refused 'needs root' setpriv --reuid 65534 --clear-groups bash "$local/up"

# An `up` that was killed half way leaves some of its namespaces.
ip netns add "$DTRAIN_CLUSTER-node1"
"$local/up" 2 1gbit
refused 'is up' "$local/up" 2
refused "no node 'node3'" "$local/link" node3 down
refused 'do not fit' "$local/run" -np 3 --per-node 1 true

seen=$("$local/run" --on node2 sh -c 'hostname; getent hosts node1; ls -A /dev/shm')
[[ $seen == node2$'\n'*10.77.0.1*node1 ]] || fail "node2 sees: $seen"
limited=$(megabytes_per_second)
((limited <= 126)) || fail "a link of 1 Gbit/s carried $limited MB/s"

train=("$build/dtrain" --image-size 64x48 --hidden 64 --batch-size 10 --steps 10 --log-every 1
    --synthetic-frames 200 --synthetic-test-frames 10)
losses() { sed -n 's/.*"loss":\([0-9.]*\),"joint.*zero_output.*/\1/p' "$scratch/$1/metrics.jsonl"; }
"${train[@]}" --run-dir "$scratch/alone" >/dev/null
before=$(sent_by node1)
timeout 120 "$local/run" --per-node 2 "${train[@]}" --run-dir "$scratch/nodes" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "dtrain failed on two nodes"; }
for place in "0 on node1" "1 on node1" "2 on node2" "3 on node2"; do
    grep -q "rank $place" "$scratch/log" || { cat "$scratch/log"; fail "dtrain did not say: rank $place"; }
done
(($(sent_by node1) - before > 1000000)) || fail "ten steps' gradients did not travel from node1"
[[ $(losses alone | wc -l) == 10 ]] || fail "one rank logged no ten losses"
paste <(losses alone) <(losses nodes) |
    awk '{ difference = ($1 - $2) / $1; if (difference < 0) difference = -difference; if (NF != 2 || difference > 1e-4) exit 1 }' ||
    fail "losses differ from one rank's: $(paste <(losses alone) <(losses nodes))"

# Ranks that do not stand in the order of their nodes: every collective against its definition, and dtrain's divided layer.
timeout 60 "$local/run" --order node1,node2,node2,node1 "$build/mpi-probe" exercise 1000 1000000 >"$scratch/order" 2>&1 ||
    { cat "$scratch/order"; fail "the collectives failed on nodes in another order"; }
[[ $(grep -c '"wrong":\[\]' "$scratch/order") == 4 ]] ||
    fail "collectives that were wrong on nodes in another order: $(<"$scratch/order")"
# All that the ranks of a node have for those of another is one message, by one of them.
(($(grep -o '"packedMessages":[0-9]*' "$scratch/order" | cut -d : -f 2 | paste -sd +) == 2)) ||
    fail "not one message from node to node: $(grep -o '"packedMessages":[0-9]*' "$scratch/order" | xargs)"
timeout 120 "$local/run" --order node1,node2,node2,node1 "${train[@]}" --exchange split --run-dir "$scratch/order-run" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "dtrain failed on nodes in another order"; }
paste <(losses alone) <(losses order-run) |
    awk '{ difference = ($1 - $2) / $1; if (difference < 0) difference = -difference; if (NF != 2 || difference > 1e-4) exit 1 }' ||
    fail "losses of split differ from one rank's: $(paste <(losses alone) <(losses order-run))"

# Within a node nothing goes by the network.
before=$(sent_by node1)
timeout 60 "$local/run" -np 2 --per-node 2 "$build/mpi-probe" rate 6250000 1 >/dev/null
(($(sent_by node1) - before < 1000000)) || fail "two ranks of one node spoke by the network"

"$local/link" node2 down
! timeout --kill-after 5 5 "$local/run" "$build/mpi-probe" rate 1000 1 >/dev/null 2>&1 || fail "a node that was cut off took part"
"$local/link" node2 up
timeout 60 "$local/run" "$build/mpi-probe" rate 1000 1 >/dev/null || fail "a node that was plugged in again takes no part"

# A run that is killed leaves its daemons and ranks to `down`.
"$local/run" sleep "60.$$" &
disown
sleep 1
kill -KILL $!
"$local/run" --on node2 sleep "60.$$" &
disown
sleep 0.2
pgrep --full "^sleep 60\.$$" >/dev/null || fail "nothing ran on the nodes"
"$local/down"
nothing_remains "down"
"$local/down" 2>/dev/null

# Other jobs may take the processors that move these bytes, so it is tried until it is faster than 1 Gbit/s can be.
"$local/up" 2
unlimited=0
for ((try = 0; try < 20 && unlimited <= 126; try++)); do unlimited=$(megabytes_per_second); done
"$local/down"
((unlimited > 126)) || fail "without a limit $unlimited MB/s, with 1 Gbit/s $limited MB/s"
nothing_remains "the second down"
say "cluster: $limited MB/s each way at 1 Gbit/s, $unlimited MB/s without a limit"
