#!/usr/bin/env bash
# Times dtrain's predictions beside onnxruntime's, of each preset at its own size, at batches of 1 and of 64 frames, the two programs in
# alternation with all processors allowed. Writes the table into Docs/export.md.
#
# Usage: Scripts/export-speed.sh [LOCK]
#        LOCK: a file that is locked (flock -x) while a network is measured, where others share the machine; at most 90 s each. What cannot
#        be had for a minute is measured beside the others, and the table says so.
# Takes ten minutes on two cores, 4 GB of memory and 5 GB of disk. Installs onnxruntime into .python/ first.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

lock=${1:-}
dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
python=$("$root/Scripts/python-env.sh" "$root/Scripts/export/requirements.txt") ||
    fail "skipped: the Python packages cannot be installed. hint: pip's message stands above"
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

# Prints the row, and whether it was measured alone.
measure() {
    local row code=0
    if [[ -n $lock ]]; then
        row=$(flock -x -w "${DTRAIN_LOCK_WAIT:-60}" -E 99 "$lock" "$@") || code=$?
        ((code == 99)) || { ((code == 0)) && printf '%s yes |\n' "$row"; return; }
    fi
    row=$("$@") && printf '%s %s |\n' "$row" "no, load $(cut -d ' ' -f 1 /proc/loadavg)"
}

{
    printf '| network | dtrain, 1 | onnxruntime, 1 | ratio | dtrain, 64 | onnxruntime, 64 | ratio | dtrain, crop and network, 1 | alone |\n'
    printf '|---|---|---|---|---|---|---|---|---|\n'
} >"$scratch/table"
for preset in deepprior ren dense dtrain-hand shallow seed; do
    rm -rf -- "$scratch/run"
    "$dtrain" --preset "$preset" --batch-size 16 --steps 2 --synthetic-frames 100 --synthetic-test-frames 20 --validate-every 2 \
        --checkpoint-every 2 --run-dir "$scratch/run" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "training $preset failed"; }
    checkpoint=$scratch/run/checkpoints/step-00000002
    "$dtrain" export "$checkpoint" --onnx "$scratch/hand.onnx" --samples "$scratch/samples.safetensors" --sample-count 64 >"$scratch/log" 2>&1 ||
        { cat "$scratch/log" >&2; fail "exporting $preset failed"; }
    measure "$python" "$root/Scripts/export/speed.py" "$preset" "$dtrain" "$checkpoint" "$scratch/hand.onnx" "$scratch/samples.safetensors" 3 |
        tee -a "$scratch/table"
done
"$python" - "$root" "$scratch/table" <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

root = Path(sys.argv[1])
sys.path.insert(0, str(root / "Scripts/plots"))
import page

begin, end = "<!-- speed: Scripts/export-speed.sh -->", "<!-- end of speed -->"
text = f"""{begin}
Frames a second on {page.machine()}; onnxruntime {version("onnxruntime")}, its threads as many as dtrain's. Medians of three rounds in alternation. `dtrain, 1` and `dtrain, 64` are of the network alone,
as onnxruntime's are; ratios above 1: dtrain is faster. Rows that were not measured alone are worth their ratios at most.

{Path(sys.argv[2]).read_text(encoding="utf-8").rstrip()}
{end}"""
page.replace(root / "Docs/export.md", begin, end, text, "## Speed\n")
PYTHON
