#!/usr/bin/env bash
# Trains presets for so long each, on synthetic hands of their own kind, and draws their learning curves into one picture. Nothing else should
# run meanwhile. All eight take four and a half hours; a call that was broken off goes on where it was, and a curve that is there is
# kept, so they can be made one by one.
#
# Usage: Scripts/learning-curves.sh [MINUTES] [CURVE ...]      default: 30 minutes of each preset that crops hands, alone and with 2 ranks
#   CURVE              PRESET: one rank with a thread for each processor; PRESET/N: N ranks under mpirun
#   DTRAIN_CURVES=DIR  where curves are kept, in place of Docs/curves
# Each curve is DIR/PRESET-N.csv, and its row of the table in Docs/accuracy.md is PRESET-N.row; the runs stay in runs/curves. The
# picture, of all curves in DIR, is Docs/accuracy.svg.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

minutes=30
if [[ ${1-} =~ ^[0-9] ]]; then
    minutes=$1
    shift
fi
curves=("$@")
(($#)) || curves=({dense,dtrain-hand,deepprior,ren}{,/2})
for curve in "${curves[@]}"; do
    [[ $curve =~ ^[a-z][a-z-]*(/[1-9][0-9]*)?$ ]] || fail "'$curve' is no curve. hint: dense, or dense/2 with 2 ranks"
done
directory=${DTRAIN_CURVES:-$root/Docs/curves}
mkdir -p -- "$directory" "$root/runs/curves"
python=$("$root/Scripts/python-env.sh")

for curve in "${curves[@]}"; do
    IFS=/ read -r preset ranks <<<"$curve/1"
    ranks=${ranks%%/*}
    name=$preset-$ranks
    if [[ -s $directory/$name.row ]]; then
        say "$curve is there: $directory/$name.csv"
        continue
    fi
    run=$root/runs/curves/$name
    # More hands, and more different ones, than by default.
    (
        unset DTRAIN_RANKS DTRAIN_STEPS DTRAIN_PLOT
        export DTRAIN_RUN=$run
        ((ranks == 1)) || export DTRAIN_RANKS=$ranks
        "$root/Scripts/accuracy.sh" "$minutes" --preset "$preset" --hand-variation 1.5 --synthetic-frames 40000 --cache 4096
    ) >"$run.rows" || fail "$curve failed. hint: its own message stands above; the same command goes on where it was"
    "$python" "$root/Scripts/plots/accuracy.py" "$directory/$name.csv" "$run"
    tail -n 1 "$run.rows" | sed "s/^| $preset /| $preset, $ranks $( ((ranks == 1)) && echo rank || echo ranks) /" >"$run.row"
    mv -- "$run.row" "$directory/$name.row"
done

titles=()
for file in "$directory"/*.csv; do
    name=$(basename -- "$file" .csv)
    titles+=("$file=${name%-*}, ${name##*-} $([[ $name == *-1 ]] && echo rank || echo ranks)")
done
"$python" "$root/Scripts/plots/accuracy.py" "$root/Docs/accuracy.svg" "${titles[@]}"
cat -- "$directory"/*.row
