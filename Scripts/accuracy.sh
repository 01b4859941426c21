#!/usr/bin/env bash
# Trains a preset on synthetic hands alone and says how far off it is, in mm: on other synthetic hands, and on renders of ICVL's real test
# poses where the label files are there. No true joint is used but to compare with.
#
# Usage: Scripts/accuracy.sh [MINUTES] [dtrain arguments]      default: 5 minutes of dtrain-hand
#   DTRAIN_STEPS=N     so many steps, in place of as many as MINUTES are found to have
#   DTRAIN_POSES=FILE  label files of real poses, with blanks between (../shared/icvl/test_seq_1.txt and test_seq_2.txt)
#   DTRAIN_PLOT=FILE   also draws the learning curve as FILE (SVG); needs Python
#   DTRAIN_RANKS=N     trains with N ranks of this machine, under mpirun
#   DTRAIN_RUN=DIR     the run's directory, in place of runs/accuracy/PRESET-STEPS or PRESET-STEPS-ranks-N
# The run stays there, and a call that was broken off goes on with it.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

minutes=5
if [[ ${1-} =~ ^[0-9] ]]; then
    minutes=$1
    shift
fi
[[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "'$minutes' is no number of minutes. hint: Scripts/accuracy.sh 30 --preset deepprior"
steps=${DTRAIN_STEPS:-}
# A run that was broken off has been told.
[[ -n $steps || ! -r ${DTRAIN_RUN:-/nowhere}/config.yaml ]] || steps=$(sed -n 's/^steps: *//p' "$DTRAIN_RUN/config.yaml")
[[ $steps =~ ^([1-9][0-9]*)?$ ]] || fail "DTRAIN_STEPS=$steps is no number of steps. hint: DTRAIN_STEPS=12800 Scripts/accuracy.sh"
preset="dtrain-hand"
arguments=("$@")
for ((index = 0; index + 1 < $#; index++)); do
    [[ ${arguments[index]} != --preset ]] || preset=${arguments[index + 1]}
done
shared=$root/../shared/icvl
if [[ -n ${DTRAIN_POSES-} ]]; then
    read -r -a poses <<<"$DTRAIN_POSES"
    for file in "${poses[@]}"; do [[ -r $file ]] || fail "$file cannot be read. hint: DTRAIN_POSES names label files of ICVL"; done
else
    poses=("$shared/test_seq_1.txt" "$shared/test_seq_2.txt")
    [[ -r ${poses[0]} && -r ${poses[1]} ]] || poses=()
fi

dtrain=${DTRAIN:-$root/.build/release/dtrain}
[[ -x $dtrain ]] || swift build --package-path "$root" -c release --product dtrain >&2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# train STEPS RUN ARGUMENT...
train() {
    local count=$1 run=$2
    shift 2
    local command=("$dtrain" train --preset "$preset" ${arguments[@]+"${arguments[@]}"} --steps "$count" --run-dir "$run" "$@")
    if [[ -n ${DTRAIN_RANKS-} ]]; then run_ranks "$DTRAIN_RANKS" "${command[@]}"; else "${command[@]}"; fi
}

if [[ -z $steps ]]; then
    say "measuring a step"
    # So few frames are soon rendered, as all are in most of a long run.
    train 300 "$work/trial" --log-every 100 --validate-every 1000 --synthetic-frames 1000 >"$work/trial.log" || fail "the trial ended: $(tail -n 1 "$work/trial.log")"
    steps=$(awk -v minutes="$minutes" -F '"step_ms":' '/"step":(200|300),.*step_ms/ { split($2, rest, ","); sum += rest[1]; lines++ }
        END { printf "%d", minutes * 60000 / (sum / lines) }' "$work/trial/metrics.jsonl")
fi

run=${DTRAIN_RUN:-$root/runs/accuracy/$preset-$steps${DTRAIN_RANKS:+-ranks-$DTRAIN_RANKS}}
say "training: dtrain train --preset $preset ${arguments[*]-} --steps $steps --run-dir $run"
# Points enough for a curve, of presets with slow steps too; validations at logged steps.
every=10
((steps < 400)) || every=$((steps / 40 - steps / 40 % 10))
train "$steps" "$run" --resume auto --log-every "$((every / 10))" --validate-every "$every" --checkpoint-every "$every" >&2
# Of the steps alone, so that it holds for a run that was broken off too. Of a step that was made again, the last counts.
trained=$(sed -n 's/^{"step":\([0-9]*\),.*"step_ms":\([0-9.e+-]*\),.*/\1 \2/p' "$run/metrics.jsonl" | tac | sort -s -n -u -k 1,1 |
    awk '{ sum += ($1 - last) * $2; last = $1 } END { printf "%.1f", sum / 60000 }')

# error FOLDER: mean and median in mm of the folder's test frames.
error() {
    "$dtrain" evaluate "$run/checkpoints/best" --data "$1" --out "$work/predictions.txt" --json |
        awk -F '[:,]' '/"joint_error_mm"/ && !mean { mean = $2 } /"median_mm"/ && !median { median = $2 }
            END { printf "%.2f %.2f\n", mean, median }'
}

"$dtrain" synth "$work/held" --hands icvl --seed 777 --frames 1 --test-frames 1000 >"$work/synth.log"
read -r held _ <<<"$(error "$work/held")"
if ((${#poses[@]})); then
    cat -- "${poses[@]}" >"$work/poses.txt"
    "$dtrain" synth "$work/poses" --poses "$work/poses.txt" --seed 99 --test-frames 0 >"$work/synth.log"
    # Written as training frames; to be evaluated, all of them, they are test frames.
    mv -- "$work/poses/Training" "$work/poses/Testing"
    read -r mean median <<<"$(error "$work/poses")"
else
    say "no real poses in $shared: skipped. hint: DTRAIN_POSES names their label files"
    mean=-
    median=-
fi
printf '| preset | steps | minutes of training | synthetic hands (seed 777), mm | real test poses rendered, mm | their median frame, mm |\n'
printf '|---|---|---|---|---|---|\n'
printf '| %s | %s | %s | %s | %s | %s |\n' "$preset" "$steps" "$trained" "$held" "$mean" "$median"

if [[ -n ${DTRAIN_PLOT-} ]]; then
    python=$("$root/Scripts/python-env.sh")
    "$python" "$root/Scripts/plots/accuracy.py" "$DTRAIN_PLOT" "$run"
fi
