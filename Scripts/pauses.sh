#!/usr/bin/env bash
# How long training waits for checkpoints, and how much longer steps take while one is written beside them, from metrics.jsonl's
# own records. Trains on synthetic hands. A table, one line for each program, exchange and number of ranks, to compare versions.
#
# Usage: Scripts/pauses.sh [dtrain arguments]      with none: --preset seed
#   DTRAIN=FILE...      programs, alternating (.build/release/dtrain)
#   RANKS=N...          numbers of ranks (2 4)
#   EXCHANGES=NAME...   exchanges (split)
#   STEPS, EVERY        steps of a run (81), and between checkpoints (40)
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

read -ra programs <<<"${DTRAIN:-$root/.build/release/dtrain}"
read -ra ranks <<<"${RANKS:-2 4}"
read -ra exchanges <<<"${EXCHANGES:-split}"
steps=${STEPS:-81} every=${EVERY:-40}
arguments=("$@")
(($#)) || arguments=(--preset seed)

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
# "copy": the pause without waiting for the checkpoint before, the least and the most; "wait": the longest of these waits; of all
# checkpoints but the last.
printf '%-16s %-10s %5s %8s %9s %9s %9s %9s %9s %10s %7s\n' program exchange ranks 'ready s' 'copy ms' 'most' 'wait ms' 'last ms' 'step ms' 'beside ms' 'more %'
for exchange in "${exchanges[@]}"; do
    for count in "${ranks[@]}"; do
        for program in "${programs[@]}"; do
            rm -rf -- "$work/run"
            run_ranks "$count" "$program" train "${arguments[@]}" --exchange "$exchange" --steps "$steps" --run-dir "$work/run" --log-every 1 \
                --checkpoint-every "$every" --keep-checkpoints 1 --validate-every 1000000 --synthetic-test-frames 50 >"$work/out"
            # Steps are beside a checkpoint for as long as its writing took; the first ten warm up.
            awk -v out="$work/out" -v program="$(basename -- "$program")" -v exchange="$exchange" -v ranks="$count" -v steps="$steps" '
                function number(key) { return match($0, "\"" key "\":[-0-9.e+]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }
                function median(values, count,    i, j, value) {
                    for (i = 2; i <= count; i++) {
                        value = values[i]
                        for (j = i - 1; j > 0 && values[j] > value; j--) values[j + 1] = values[j]
                        values[j + 1] = value
                    }
                    return values[int((count + 1) / 2)]
                }
                BEGIN {
                    while ((getline line < out) > 0) {
                        if (match(line, /step-[0-9]+, written in [0-9.]+/)) {
                            split(substr(line, RSTART + 5, RLENGTH - 5), part, /, written in /)
                            written[part[1] + 0] = part[2]
                        }
                        if (match(line, /ready after [0-9.]+/)) ready = substr(line, RSTART + 12, RLENGTH - 12)
                    }
                }
                /"checkpoint":/ {
                    if (number("step") == steps) { last = number("pause_ms"); next }
                    copies[++pauses] = number("pause_ms") - number("wait_ms")
                    waits[pauses] = number("wait_ms")
                    if ($0 ~ /beside training/) left = written[number("step")] * 1000
                }
                /"loss":/ {
                    if (number("step") <= 10) next
                    time = number("step_ms")
                    if (left > 0) { beside[++besides] = time; left -= time } else alone[++alones] = time
                }
                END {
                    usual = median(alone, alones)
                    median(copies, pauses)
                    median(waits, pauses)
                    printf "%-16s %-10s %5d %8.1f %9.0f %9.0f %9.0f %9.0f %9.1f", program, exchange, ranks, ready, copies[1], copies[pauses], \
                        waits[pauses], last, usual
                    if (besides) { slow = median(beside, besides); printf " %10.1f %+7.1f\n", slow, (slow / usual - 1) * 100 } else print "          -       -"
                }' "$work/run/metrics.jsonl"
        done
    done
done
