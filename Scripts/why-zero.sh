#!/usr/bin/env bash
# The question, answered by experiment: trains the question's program as it was (seed-verbatim: ReLU output), the same with
# linear and with exp output, and the cured one (seed) with linear and exp output, and writes Docs/why-zero.md and
# Docs/why-zero.svg from the metrics.
#
# Usage: Scripts/why-zero.sh [dtrain arguments for all five runs]      default: --steps 60
# Takes about ten minutes and 3 GB of memory. The runs stay in runs/why-zero; those of an earlier call are replaced.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

arguments=("$@")
(($#)) || arguments=(--steps 60)

set_up
python=$("$root/Scripts/python-env.sh")
swift build --package-path "$root" -c release --product dtrain >&2

runs=$root/runs/why-zero
rm -rf -- "$runs"
mkdir -p -- "$runs"

# train NAME ARGUMENT...: one run. A run whose loss is no longer finite is ended by dtrain; that is a result, and the page
# says so. Any other failure ends this script.
train() {
    local name=$1 status=0
    shift
    local line=("$@" "${arguments[@]}")
    say "running: dtrain train ${line[*]}"
    printf '%s\n' "dtrain train ${line[*]}" >"$runs/$name.command"
    "$root/.build/release/dtrain" train "${line[@]}" --log-every 1 --run-dir "$runs/$name" \
        2>"$runs/$name.error" || status=$?
    cat -- "$runs/$name.error" >&2
    ((status == 0)) || grep -q 'step [0-9]*: the loss is' "$runs/$name.error" ||
        fail "the run '$name' ended with code $status; see above"
    # Gigabytes that the page does not need.
    rm -rf -- "$runs/$name/checkpoints"
}

train relu --preset seed-verbatim
train linear --preset seed-verbatim --output linear
train exp --preset seed-verbatim --output exp
train cured --preset seed
# An exp output multiplies each step by the output itself, some hundreds: a smaller rate makes up for it.
train cured-exp --preset seed --output exp --learning-rate 1e-5

"$python" "$root/Scripts/plots/why_zero.py" "$runs" "$root/Docs"
