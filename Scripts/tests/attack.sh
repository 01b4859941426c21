#!/usr/bin/env bash
# The attack suite's short form: every attack once, on processes of their own; and kills of a DeepPrior whose gradients are clipped
# and accumulated and whose weights are averaged. The long form is Scripts/attack.sh MINUTES.
set -euo pipefail
attack=$(dirname -- "${BASH_SOURCE[0]}")/../attack.sh
status=0
"$attack" 0 || status=$?
"$attack" 0 --short --only kill_rank --only kill_launcher --rounds 2 \
    --network '--preset deepprior --crop-size 64 --clip norm:0.001 --accumulate 2 --ema 0.9' || status=$?
exit "$status"
