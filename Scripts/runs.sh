# shellcheck shell=bash
# For scripts that start runs and look at what becomes of them.

# await SECONDS COMMAND...: runs the command until it succeeds; fails when that takes longer.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# losses RUN: "STEP LOSS" of each step in the run's metrics, as logged last: a resumed run may have made a step again.
losses() {
    sed -nE 's/^\{"step":([0-9]+),.*"loss":([0-9.e+-]+),"joint.*zero_output.*/\1 \2/p' "$1/metrics.jsonl" |
        awk '{ loss[$1] = $2 } END { for (step in loss) print step, loss[step] }' | sort -n
}
