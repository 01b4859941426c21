#!/usr/bin/env bash
# Event files of `--tensorboard`, read by TensorBoard's own reader: every point is compared with metrics.jsonl. A run that ends, one that
# is killed twice and goes on, one that begins anew after a kill before its first checkpoint, and one of two ranks.
#
# Usage: Scripts/check-tensorboard.sh [--short]        --short: the first two, and one kill
# Takes a minute. Installs the package tensorboard into .python/ first.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

short=
[[ ${1:-} == --short ]] && short=1
dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || fail "no $dtrain. hint: swift build -c release --product dtrain"
python=$(timeout "${DTRAIN_INSTALL_SECONDS:-600}" "$root/Scripts/python-env.sh" "$root/Scripts/tensorboard/requirements.txt") ||
    { say "skipped: the package tensorboard cannot be installed. hint: pip's message stands above"; exit 0; }
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
cd -- "$scratch"

small=(--image-size 64x48 --hidden 64 --batch-size 10 --synthetic-frames 200 --synthetic-test-frames 20 --log-every 1 --validate-every 7
    --checkpoint-every 20 --tensorboard --resume auto)

# Trains and is killed once the given step is logged.
# $1: run   $2: step   $3...: flags
killed_after() {
    "$dtrain" "${small[@]}" "${@:3}" --run-dir "$1" >log 2>&1 &
    local process=$!
    until grep -q "^{\"step\":$2," "$1/metrics.jsonl" 2>/dev/null; do
        kill -0 "$process" 2>/dev/null || { cat log >&2; fail "the run ended before step $2"; }
        sleep 0.005
    done
    kill -9 "$process"
    wait "$process" 2>/dev/null || true
}
# $1: run   $2...: flags
whole() { "$dtrain" "${small[@]}" "${@:2}" --run-dir "$1" >log 2>&1 || { cat log >&2; fail "training $1 failed"; }; }

whole ended --steps 30
"$python" "$root/Scripts/tensorboard/check.py" ended

killed_after resumed 45 --steps 100000
if [[ -z $short ]]; then killed_after resumed 95 --steps 100000; fi
whole resumed --steps 600
"$python" "$root/Scripts/tensorboard/check.py" resumed
(($(find resumed/tensorboard -type f | wc -l) >= 2)) || fail "a start has no event file of its own"

if [[ -z $short ]]; then
    killed_after anew 9 --steps 100000 --checkpoint-every 100000
    whole anew --steps 40
    "$python" "$root/Scripts/tensorboard/check.py" anew

    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe --bind-to none -np 2 \
        "$dtrain" "${small[@]}" --steps 30 --run-dir ranks >log 2>&1 || { cat log >&2; fail "training on two ranks failed"; }
    "$python" "$root/Scripts/tensorboard/check.py" ranks
fi
