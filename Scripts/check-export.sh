#!/usr/bin/env bash
# Every preset, at a small size and at its own, every network file, and a network around each kind of layer, exported and run by
# onnxruntime and by PyTorch on 100 frames: their outputs must be dtrain's. Prints a table, with onnxruntime's frames a second at batches of 1 and 64.
#
# Usage: Scripts/check-export.sh [--small]        --small: without the full sizes
# Takes a quarter of an hour on two cores, 4 GB of memory and 5 GB of disk. Installs PyTorch and ONNX (gigabytes) into .python/ first.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

only_small=
[[ ${1:-} == --small ]] && only_small=1
dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
python=$("$root/Scripts/python-env.sh" "$root/Scripts/export/requirements.txt") ||
    fail "skipped: the Python packages cannot be installed. hint: pip's message stands above"
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

failed=0

# Trains for a few steps, so that running statistics are not those of the start, exports and compares.
check() {
    local name=$1
    shift
    local checkpoint=$scratch/run/checkpoints/step-00000004
    rm -rf -- "$scratch/run"
    "$dtrain" --steps 4 --synthetic-frames 400 --synthetic-test-frames 20 --validate-every 4 --checkpoint-every 4 --run-dir "$scratch/run" \
        "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "training $name failed"; }
    "$dtrain" export "$checkpoint" --onnx "$scratch/hand.onnx" --pytorch "$scratch/hand.py" --samples "$scratch/samples.safetensors" \
        >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "exporting $name failed"; }
    "$python" "$root/Scripts/export/check.py" "$name" "$scratch/hand.onnx" "$scratch/hand.py" "$scratch/samples.safetensors" || failed=1
}

printf '| network | frames | operator set | onnxruntime: mm | PyTorch: mm | share | frames/s, batch 1 | batch 64 | |\n|---|---|---|---|---|---|---|---|---|\n'
frames=(--image-size 64x48 --pool 4 --hidden 64 --batch-size 20)
for preset in seed seed-verbatim shallow; do check "$preset, 64x48" --preset "$preset" "${frames[@]}"; done
check "seed, 64x48, exp" --preset seed "${frames[@]}" --output exp --learning-rate 1e-5
check "seed, 64x48, averaged" --preset seed "${frames[@]}" --ema 0.9
check "deepprior, 48x48" --preset deepprior --crop-size 48 --batch-size 20
check "ren, 96x96" --preset ren --batch-size 20
# Without its warm-up: else what its blocks add, which begins at 0, is still too little to be compared.
dense=(--preset dense --schedule constant --batch-size 4)
check "dense, 64x64" "${dense[@]}" --crop-size 64
check "dtrain-hand, 48x48" --preset dtrain-hand --crop-size 48 --batch-size 20
check "nested.yaml" --network "$root/Scripts/export/nested.yaml" --batch-size 20
"$dtrain" describe --layers --json | "$python" "$root/Scripts/export/layer_files.py" "$scratch"
for file in "$scratch"/*.yaml; do check "layer: $(basename -- "$file" .yaml)" --network "$file" --batch-size 20; done
for file in "$root"/Docs/examples/*.yaml; do check "$(basename -- "$file")" --network "$file" --batch-size 20; done
if [[ -z $only_small ]]; then
    check "deepprior" --preset deepprior --batch-size 20
    check "dense" "${dense[@]}"
    check "dtrain-hand" --preset dtrain-hand --batch-size 20
    for preset in shallow seed seed-verbatim; do check "$preset" --preset "$preset" --batch-size 20; done
fi
((failed == 0)) || fail "outputs differ. hint: the lines marked TOO FAR"
