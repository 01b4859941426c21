#!/usr/bin/env bash
# Commits each mistake that dtrain knows, and trains each preset in good health, and writes Docs/diagnosis.md and Docs/diagnosis.svg
# with what dtrain said, at which step, and how often it was wrong.
#
# Usage: Scripts/diagnosis.sh [SEEDS] [--keep]      default: 10 healthy runs of each preset at a small size, and one at full size
#        --keep: runs of the last time that were as they should be are not made again
# Takes a few minutes on two cores and 3 GB of memory. Needs python3 and mpirun, and root: one
# mistake is a slow link (Cluster/local).
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

seeds=10 keep=
for argument; do
    if [[ $argument == --keep ]]; then
        keep=--keep
    elif [[ $argument =~ ^[0-9]+$ ]]; then
        seeds=$argument
    else
        fail "'$argument' is no number of seeds. hint: Scripts/diagnosis.sh 10"
    fi
done
dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
command -v python3 >/dev/null || fail "no python3 on PATH. hint: sudo apt-get install -y python3"
((EUID == 0)) || fail "this makes two nodes with a slow link, which takes root. hint: sudo $0"
command -v mpirun >/dev/null || fail "no mpirun on PATH. hint: sudo apt-get install -y openmpi-bin"
python3 "$root/Scripts/plots/diagnosis.py" "$dtrain" "$root/Docs" "$seeds" "$root/.build/diagnosis.json" $keep
