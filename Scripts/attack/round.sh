#!/usr/bin/env bash
# One round of one attack, in a process of its own: round.sh ATTACK SEED DIRECTORY. Exits with 0 when dtrain survived, 77
# when this machine cannot show it. ../attack.sh calls it.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
attack=$1 seed=$2 round=$3
# shellcheck source=Scripts/attack/attacks.sh
source "$here/attacks.sh"

RANDOM=$seed
launcher=
end_round() {
    # A round that ends early leaves no process behind; ranks that were stopped only end by SIGKILL.
    local pid
    find_ranks
    for pid in "${rank_pids[@]}" $launcher; do kill -KILL "$pid" 2>/dev/null || true; done
    [[ -z ${DTRAIN_CLUSTER:-} ]] || "$cluster_scripts/down"
}
trap end_round EXIT
"attack_$attack"
