#!/usr/bin/env bash
# Trains variants of dtrain-hand for so long each, and says how far off each is: what a change of its network or its recipe brings in
# the same time. Nothing else should run meanwhile.
#
# Usage: Scripts/hand-trials.sh [MINUTES] [TRIAL ...]      default: 2 minutes each, all trials; --list names them
# Each row stays in runs/hand-trials, and a trial that is there is kept.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

minutes=2
if [[ ${1-} =~ ^[0-9] ]]; then
    minutes=$1
    shift
fi
trials=(preset map-24 narrow wide separable separable-wide two-stages no-offsets-hidden mse huber augment-icvl augment-strong rate-1e-3 ema-0.998 fresh-frames)
if [[ ${1-} == --list ]]; then
    printf '%s\n' "${trials[@]}"
    exit
fi
(($# == 0)) || trials=("$@")
unset DTRAIN_RANKS DTRAIN_STEPS DTRAIN_PLOT
out=$root/runs/hand-trials
mkdir -p -- "$out"

# convolution CHANNELS KERNEL STRIDE RECTIFIED: with batch normalisation; where $separable is 1, depth-wise separable.
separable=0
convolution() {
    local kernel=$2 stride=$3
    if ((separable && kernel > 1)); then
        printf '{depthwise-convolution: {kernel: %s, stride: %s, bias: false}}, {batch-normalization: {rectified: true}}, ' "$kernel" "$stride"
        kernel=1 stride=1
    fi
    printf '{convolution: {channels: %s, kernel: %s, stride: %s, bias: false}}, {batch-normalization: {rectified: %s}}' \
        "$1" "$kernel" "$stride" "$4"
}

# block FROM TO STRIDE: a residual block, as a list's elements.
block() {
    local skip=""
    [[ $1 == "$2" && $3 == 1 ]] || skip=", skip: [$(convolution "$2" 1 "$3" false)]"
    printf '  - residual: {layers: [%s, %s]%s}\n  - activation: relu\n' "$(convolution "$2" 3 "$3" true)" "$(convolution "$2" 3 1 false)" "$skip"
}

# maps HIDDEN: scores, and offsets by way of so many channels; 0: at once.
maps() {
    local hidden="{convolution: {channels: $1, kernel: 3}}, {activation: relu}, "
    (($1)) || hidden=""
    echo "branches: {branches: [[{convolution: {channels: 16, kernel: 1, initial: small}}]," \
        "[$hidden{convolution: {channels: 48, kernel: 1, initial: small}}]]}"
}

# network WIDTH STRIDE-OF-BLOCK-2 STAGES HIDDEN: dtrain-hand, where these are 16, 2, 1 and 64.
network() {
    local width=$1 stride=$2 stages=$3 hidden=$4
    echo "input: {height: 96, width: 96}"
    echo "layers:"
    echo "  - convolution: {channels: $width, kernel: 5, stride: 2, bias: false}"
    echo "  - batch-normalization: {rectified: true}"
    echo "  - max-pooling: 2"
    block "$width" $((2 * width)) 1
    block $((2 * width)) $((4 * width)) "$stride"
    block $((4 * width)) $((4 * width)) 1
    for ((stage = 1; stage < stages; stage++)); do
        echo "  - residual: {layers: [{$(maps "$hidden")}, {intermediate: {layers: [{soft-argmax: {joints: 16}}]}}," \
            "{convolution: {channels: $((4 * width)), kernel: 1}}]}"
        block $((4 * width)) $((4 * width)) 1
    done
    block $((4 * width)) $((4 * width)) 1
    echo "  - $(maps "$hidden")"
    echo "  - soft-argmax: {joints: 16}"
    echo "loss: {kind: smooth-l1, sigma: 10}"
}

for trial in "${trials[@]}"; do
    arguments=(--hand-variation 1.5 --synthetic-frames 40000 --cache 4096)
    separable=0
    case $trial in
    preset) ;;
    map-24) network 16 1 1 64 >"$out/$trial.yaml" ;;
    narrow) network 8 2 1 32 >"$out/$trial.yaml" ;;
    wide) network 32 2 1 64 >"$out/$trial.yaml" ;;
    separable) separable=1 && network 16 2 1 64 >"$out/$trial.yaml" ;;
    separable-wide) separable=1 && network 32 2 1 64 >"$out/$trial.yaml" ;;
    two-stages) network 16 2 2 64 >"$out/$trial.yaml" ;;
    no-offsets-hidden) network 16 2 1 0 >"$out/$trial.yaml" ;;
    mse) arguments+=(--loss mse) ;;
    huber) arguments+=(--loss huber:0.02) ;;
    augment-icvl) arguments+=(--augment icvl) ;;
    augment-strong) arguments+=(--augment strong) ;;
    rate-1e-3) arguments+=(--learning-rate 1e-3) ;;
    ema-0.998) arguments+=(--ema 0.998) ;;
    fresh-frames) arguments=(--hand-variation 1.5 --synthetic-frames 10000000 --cache 256) ;;
    *) fail "'$trial' is no trial. hint: Scripts/hand-trials.sh --list" ;;
    esac
    [[ ! -e $out/$trial.yaml ]] || arguments+=(--network "$out/$trial.yaml")
    if [[ ! -s $out/$trial.row ]]; then
        DTRAIN_RUN=$out/$trial "$root/Scripts/accuracy.sh" "$minutes" "${arguments[@]}" >"$out/$trial.rows" ||
            fail "$trial failed. hint: its own message stands above; the same command goes on where it was"
        tail -n 1 "$out/$trial.rows" | sed "s/^| dtrain-hand /| $trial /" >"$out/$trial.row.new"
        mv -- "$out/$trial.row.new" "$out/$trial.row"
    fi
    cat -- "$out/$trial.row"
done
