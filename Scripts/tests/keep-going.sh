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

# What the hosts themselves say, by ssh or by what stands in for it.
stand_in() {
    printf '#!/bin/sh\n%s\n' "$1" >"$scratch/agent"
    chmod +x "$scratch/agent"
    export OMPI_MCA_plm_rsh_agent="$scratch/agent"
}
mkdir "$scratch/directory"
refused 'can be read' --hosts "$scratch/directory" "${train[@]}"
hosts $'node1 slots=2\r' $'node1\r'
refused "$scratch/hosts:2: node1 is there already" --hosts "$scratch/hosts" "${train[@]}"
hosts 'node1 slots=two'
refused 'slots=two' --hosts "$scratch/hosts" "${train[@]}"
hosts '[fe80::1] slots=1'
refused 'fe80::1' --hosts "$scratch/hosts" "${train[@]}"
if command -v ssh >/dev/null; then
    hosts 'nobody.invalid slots=1' 'localhost'
    refused 'nobody.invalid: no such host' --hosts "$scratch/hosts" "${train[@]}"
fi
hosts 'node1' 'node2'
# A prompt goes to the terminal; there must be none.
stand_in 'if (: >/dev/tty) 2>/dev/null; then echo a terminal; else echo "node1: Permission denied (publickey,password)." >&2; fi; exit 255'
refused 'node1 asks for a password' --hosts "$scratch/hosts" "${train[@]}"
stand_in 'echo "Host key verification failed." >&2; exit 255'
refused 'its key is not known' --hosts "$scratch/hosts" "${train[@]}"
# shellcheck disable=SC2016
stand_in 'shift; exec sh -c "$*"'
refused 'node1 and node2 are one machine' --hosts "$scratch/hosts" "${train[@]}"
hosts 'node1'
refused 'node1 has no /nowhere/dtrain' --hosts "$scratch/hosts" -- /nowhere/dtrain train --run-dir="$scratch/run"
export OMPI_MCA_plm_rsh_agent=/nowhere/agent
refused "no '/nowhere/agent'" --hosts "$scratch/hosts" "${train[@]}"
unset OMPI_MCA_plm_rsh_agent

exec "$root/Scripts/keep-going.sh" --rounds 1
