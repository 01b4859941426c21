#!/usr/bin/env bash
# Times dtrain's predictions beside onnxruntime's, of each preset at its own size, at batches of 1 and of 64 frames, the two programs in
# alternation with all processors allowed. Writes the table into Docs/export.md.
#
# Usage: Scripts/export-speed.sh
# Takes ten minutes on two cores, 4 GB of memory and 5 GB of disk. Installs onnxruntime into .python/ first. Let nothing else run meanwhile: the
# table says how busy the processors were just before each row. Under $MEASURE_LOCK, if that names a file, no two measurements that name
# it run at once.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
python=$("$root/Scripts/python-env.sh" "$root/Scripts/export/requirements.txt") ||
    fail "skipped: the Python packages cannot be installed. hint: pip's message stands above"
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

# Percent of the processors' time that other programs take, over two seconds.
busy() {
    local before after
    before=$(grep '^cpu ' /proc/stat)
    sleep 2
    after=$(grep '^cpu ' /proc/stat)
    # The fourth and fifth numbers are idle and waiting for disks.
    awk '{ for (i = 2; i <= 9; i++) total[NR] += $i; idle[NR] = $5 + $6 }
        END { printf "%.0f", 100 * (1 - (idle[2] - idle[1]) / (total[2] - total[1])) }' <<<"$before
$after"
}

# Prints the row, and how busy others were.
measure() {
    local lock=() others row
    [[ -z ${MEASURE_LOCK:-} ]] || lock=(flock -x "$MEASURE_LOCK")
    others=$(busy)
    row=$("${lock[@]}" "$@")
    printf '%s %s%% |\n' "$row" "$others"
}

{
    printf '| network | dtrain, 1 | onnxruntime, 1 | ratio | dtrain, 64 | onnxruntime, 64 | ratio | dtrain, crop and network, 1 | others |\n'
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
as onnxruntime's are; ratios above 1: dtrain is faster. `others`: how busy the processors were just before.

{Path(sys.argv[2]).read_text(encoding="utf-8").rstrip()}
{end}"""
page.replace(root / "Docs/export.md", begin, end, text, "## Speed\n")
PYTHON
