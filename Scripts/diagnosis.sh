#!/usr/bin/env bash
# Commits each mistake that dtrain knows, and trains each preset in good health, and writes Docs/diagnosis.md and Docs/diagnosis.svg
# with what dtrain said, at which step, and how often it was wrong.
#
# Usage: Scripts/diagnosis.sh [SEEDS]      default: 10 healthy runs of each preset at a small size, and one at full size
# Takes half an hour on two cores and 3 GB of memory.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

seeds=${1:-10}
[[ $seeds =~ ^[0-9]+$ ]] || fail "'$seeds' is no number of seeds. hint: Scripts/diagnosis.sh 10"
dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
python=$("$root/Scripts/python-env.sh") || fail "skipped: the Python packages cannot be installed. hint: pip's message stands above"
"$python" "$root/Scripts/plots/diagnosis.py" "$dtrain" "$root/Docs" "$seeds"
