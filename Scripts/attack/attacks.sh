# shellcheck shell=bash
# All attacks: a function `attack_NAME` each, listed in $attacks in the order of the table.
attacks=()
for part in runs kills signals checkpoints directories disks frames faults nodes; do
    # shellcheck source=/dev/null
    source "${BASH_SOURCE[0]%/*}/$part.sh"
done
