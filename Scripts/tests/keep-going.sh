#!/usr/bin/env bash
# Cluster/keep-going: what is wrong with its arguments or its hosts is told in one line; and one round of Scripts/keep-going.sh, a
# node that is cut off.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
train=(-- dtrain train --run-dir "$scratch/run")
# refused WORD ARGUMENT...: exit code 64 and one line with the word and a hint.
refused() {
    local word=$1 status=0
    shift
    env -u SLURM_JOB_NODELIST -u PE_HOSTFILE -u PBS_NODEFILE "$root/Cluster/keep-going" "$@" >"$scratch/out" 2>&1 || status=$?
    [[ $status == 64 && $(wc -l <"$scratch/out") == 1 && $(<"$scratch/out") == *"$word"*hint:* ]] ||
        fail "not refused in one line with '$word' (status $status): $(<"$scratch/out")"
}
hosts() { printf '%s\n' "$@" >"$scratch/hosts"; }

refused 'no hosts' "${train[@]}"
refused 'no dtrain' --hosts /dev/null
refused 'no --run-dir' --hosts /dev/null -- dtrain train
refused '--resume' --hosts /dev/null "${train[@]}" --resume auto
refused 'no hosts' --hosts /dev/null "${train[@]}"
refused 'can be read' --hosts "$scratch/nowhere" "${train[@]}"
refused 'needs a number' --min-nodes none "${train[@]}"
hosts 'node1 slots=2' '# a comment' '' 'node1'
refused "$scratch/hosts:4: node1 is there already" --hosts "$scratch/hosts" "${train[@]}"
hosts 'node1 slots=0'
refused 'slots=0' --hosts "$scratch/hosts" "${train[@]}"
hosts 'node1 cpu=2'
refused "'cpu=2'" --hosts "$scratch/hosts" "${train[@]}"
hosts 'fe80::1'
refused 'fe80::1' --hosts "$scratch/hosts" "${train[@]}"
hosts 'node1'
refused '1 hosts' --hosts "$scratch/hosts" --min-nodes 2 "${train[@]}"

exec "$root/Scripts/keep-going.sh" --rounds 1
