#!/usr/bin/env bash
# What safety costs a run: the checks of a steady step, the pause for a checkpoint, and training beside its writing.
# Trains on synthetic hands and reads the run's own metrics.
#
# Usage: Scripts/check-cost.sh [dtrain arguments]      with none: --preset shallow
#   DTRAIN_RANKS=N   number of ranks (2)
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

ranks=${DTRAIN_RANKS:-2}
[[ $ranks =~ ^[1-9][0-9]*$ ]] || fail "DTRAIN_RANKS=$ranks is not a number of ranks. hint: DTRAIN_RANKS=2 Scripts/check-cost.sh"
arguments=("$@")
(($#)) || arguments=(--preset shallow)

set_up
swift build --package-path "$root" -c release --product dtrain >&2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
steps=401
run_ranks "$ranks" "$root/.build/release/dtrain" "${arguments[@]}" --steps "$steps" --run-dir "$work/run" --log-every 1 \
    --checkpoint-every 150 --verify-every 100 --validate-every 1000000 --synthetic-test-frames 50 >"$work/out"

# A number of a line of metrics.jsonl.
awk -v out="$work/out" '
    function number(key) { return match($0, "\"" key "\":[-0-9.e+]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }
    function sort(values, count,    i, j, value) {
        for (i = 2; i <= count; i++) {
            value = values[i]
            for (j = i - 1; j > 0 && values[j] > value; j--) values[j + 1] = values[j]
            values[j + 1] = value
        }
    }
    BEGIN {
        while ((getline line < out) > 0)
            if (match(line, /step-[0-9]+, written in [0-9.]+/)) {
                split(substr(line, RSTART + 5, RLENGTH - 5), part, /, written in /)
                written[part[1] + 0] = part[2]
            }
    }
    /"checkpoint":/ && /beside training/ {
        writing = written[number("step")]; pauses[++pauseCount] = number("pause_ms"); left = writing * 1000
        printf "checkpoint of step %d: pause %.0f ms, written beside training in %.2f s\n", number("step"), number("pause_ms"), writing
    }
    /"loss":/ {
        step = number("step"); time = number("step_ms")
        if (step <= 10) next
        checks += number("checks_ms"); total += time
        if (left > 0) { beside[++besideCount] = time; left -= time } else alone[++aloneCount] = time
    }
    END {
        sort(alone, aloneCount); sort(beside, besideCount)
        usual = alone[int((aloneCount + 1) / 2)]; slow = beside[int((besideCount + 1) / 2)]
        printf "step: median %.1f ms; while a checkpoint is written %.1f ms (%+.1f%%), %d steps\n", usual, slow, (slow / usual - 1) * 100, besideCount
        printf "finite check and replica hash: %.3f ms a step, %.2f%% of it\n", checks / (aloneCount + besideCount), checks / total * 100
    }' "$work/run/metrics.jsonl"
say "the largest magnitudes that the finite check needs are taken within the forward pass: dtrain bench kernels has their time"
