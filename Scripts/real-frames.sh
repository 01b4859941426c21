#!/usr/bin/env bash
# Predicts eight labelled depth frames of another sensor (RealSense, mirrored, a face behind the hand) with a model trained on synthetic
# hands, and says how far off it is. The frames are no part of dtrain: without them this is skipped.
#
# Usage: Scripts/real-frames.sh [CHECKPOINT] [OUT]
#   CHECKPOINT       a checkpoint of dtrain; without one, dtrain-hand is trained on synthetic hands for DTRAIN_MINUTES (7)
#   OUT              where pictures and joints go (runs/real-frames)
#   DTRAIN_FRAMES    the folder of the frames (../shared/frames/hadjust_USER1): N/depth.png and joints16_uvd.txt
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
frames=${DTRAIN_FRAMES:-$root/../shared/frames/hadjust_USER1}
minutes=${DTRAIN_MINUTES:-7}
checkpoint=${1-}
out=${2:-runs/real-frames}
dtrain=$root/.build/release/dtrain
# The camera of these frames, for pixels counted from 0.
camera=287.26,287.26,159,119

if [[ ! -f $frames/joints16_uvd.txt ]]; then
    echo "real-frames: skipped: no real frames in $frames. hint: DTRAIN_FRAMES=FOLDER that holds joints16_uvd.txt and N/depth.png"
    exit 0
fi
[[ $minutes =~ ^[1-9][0-9]*$ ]] || { echo "real-frames: DTRAIN_MINUTES=$minutes is no number of minutes" >&2; exit 64; }
[[ -x $dtrain ]] || swift build --package-path "$root" -c release --product dtrain >&2
mkdir -p -- "$out"

if [[ -z $checkpoint ]]; then
    # Views from every side, labels in the bones as these frames' are, and pixels as bad as a sensor's.
    run=$out/run
    DTRAIN_RUN=$run "$root/Scripts/accuracy.sh" "$minutes" --hand-views all --hand-surface-offset 0 --hand-variation 1.5 \
        --synthetic-frames 40000 --cache 3000 --ema 0.998 --augment jitter=8,rotation=45,scale=0.1,noise=2,dropout=0.05,holes=3 \
        >"$out/training.log" 2>&1 || { tail -n 5 -- "$out/training.log" >&2; exit 1; }
    checkpoint=$(find "$run/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -n 1)
fi

"$dtrain" predict "$checkpoint" "$frames"/*/depth.png --labels "$frames/joints16_uvd.txt" --camera "$camera" --mirror --overlay "$out/overlays" \
    >"$out/joints.txt"
grep -E 'depth.png: centre|depth.png: not predicted|^error|^latency|^pictures' "$out/joints.txt"
