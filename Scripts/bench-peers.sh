#!/usr/bin/env bash
# dtrain's training step beside its peers', on this machine, in alternation: peer, dtrain, next peer, dtrain, ... so that a
# machine whose speed drifts treats all alike. The question's network, one process each. Writes the table in
# Docs/performance.md and Docs/performance.svg from the measured JSON, which stays in runs/bench-peers.
#
# With --preset the presets of crops instead, beside PyTorch tuned (Scripts/peers/pytorch_preset.py): training steps, and
# evaluation passes of 1 and 64 frames; the tables of presets in Docs/performance.md and Docs/performance-presets.svg, from runs/bench-presets.
#
# Usage: Scripts/bench-peers.sh [--threads "2 1"] [--pool 2] [--batch 100] [--rounds 3] [--steps 10] [--warmup 3]
#        Scripts/bench-peers.sh --preset "deepprior ren dense dtrain-hand" [--threads "2 1"] [--rounds 3] [--steps 10] [--warmup 3] [--forwards 30]
# Takes about five minutes a round on two cores, and 6 GB of memory; with --preset one minute a round for all four. Installs
# PyTorch, and without --preset TensorFlow (several GB) into .python/ first. Let nothing else run meanwhile: under $MEASURE_LOCK,
# if that names a file, no two measurements that name it run at once.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/peers/measure.sh
source "$root/Scripts/peers/measure.sh"

declare -A option=([threads]=$(nproc) [pool]=2 [batch]=100 [rounds]=3 [steps]=10 [warmup]=3 [forwards]=30)
while (($#)); do
    name=${1#--}
    if [[ $name == preset ]]; then
        choose_presets "${2:-}"
        shift 2
        continue
    fi
    [[ $1 == --* && -n $name && -v option[$name] ]] || fail "no option '$1'. hint: ${!option[*]}"
    # Only the threads may be several numbers.
    [[ ${2:-} =~ ^[0-9]+$ || ( $name == threads && ${2:-} =~ ^[0-9]+(\ [0-9]+)+$ ) ]] ||
        fail "$1 needs a number. hint: $1 ${option[$name]}"
    option[$name]=$2
    shift 2
done

set_up
if ((${#presets[@]})); then
    python=$("$root/Scripts/python-env.sh" "$root/Scripts/requirements.txt" "$root/Scripts/peers/presets.txt")
    swift build --package-path "$root" -c release --product dtrain >&2
    kept=$root/runs/bench-presets/processor.txt
    mkdir -p -- "${kept%/*}"
    processor=$("$python" "$root/Scripts/plots/page.py")
    [[ ! -e $kept || $(<"$kept") == "$processor" ]] ||
        fail "${kept%/*} was measured on $(<"$kept"), and this is $processor. hint: move it away"
    printf '%s\n' "$processor" >"$kept"
    for threads in ${option[threads]}; do
        for preset in "${presets[@]}"; do
            batch=${preset_batch[$preset]}
            directory=$root/runs/bench-presets/$preset-threads-$threads-batch-$batch
            rm -rf -- "$directory"
            mkdir -p -- "$directory"
            for ((round = 1; round <= option[rounds]; round++)); do
                for batch in 1 64; do
                    forward=$root/runs/bench-presets/$preset-forward-threads-$threads-batch-$batch
                    ((round > 1)) || rm -rf -- "$forward"
                    mkdir -p -- "$forward"
                    measure "$forward" "pytorch.$round" "${tuned[@]}" "$python" "$root/Scripts/peers/pytorch_preset.py" --forward \
                        --preset "$preset" --threads "$threads" --batch "$batch" --steps "${option[forwards]}" --warmup 20
                    measure "$forward" "dtrain.$round" "$root/.build/release/dtrain" bench step --forward --json \
                        --preset "$preset" --threads "$threads" --batch-size "$batch" --repeats "${option[forwards]}"
                done
                batch=${preset_batch[$preset]}
                measure "$directory" "pytorch.$round" "${tuned[@]}" "$python" "$root/Scripts/peers/pytorch_preset.py" \
                    --preset "$preset" --threads "$threads" --batch "$batch" --steps "${option[steps]}" --warmup "${option[warmup]}"
                measure "$directory" "dtrain.$round" "$root/.build/release/dtrain" bench step --json --preset "$preset" \
                    --threads "$threads" --batch-size "$batch" --repeats "${option[steps]}"
            done
        done
    done
    "$python" "$root/Scripts/plots/bench_presets.py" "$root/runs/bench-presets" "$root/Docs"
    exit
fi

python=$("$root/Scripts/python-env.sh" "$root/Scripts/requirements.txt" "$root/Scripts/peers/requirements.txt")
swift build --package-path "$root" -c release --product dtrain >&2

for threads in ${option[threads]}; do
    directory=$root/runs/bench-peers/threads-$threads-pool-${option[pool]}-batch-${option[batch]}
    rm -rf -- "$directory"
    mkdir -p -- "$directory"
    peer=(--threads "$threads" --pool "${option[pool]}" --batch "${option[batch]}"
        --steps "${option[steps]}" --warmup "${option[warmup]}")
    own=("$root/.build/release/dtrain" bench step --json --threads "$threads" --pool "${option[pool]}"
        --batch-size "${option[batch]}" --repeats "${option[steps]}")
    for ((round = 1; round <= option[rounds]; round++)); do
        for program in tensorflow_question pytorch_step; do
            source=$root/Scripts/peers/$program.py
            measure "$directory" "$program-installed.$round" "$python" "$source" "${peer[@]}"
            measure "$directory" "dtrain-after-$program-installed.$round" "${own[@]}"
            measure "$directory" "$program-tuned.$round" "${tuned[@]}" "$python" "$source" "${peer[@]}"
            measure "$directory" "dtrain-after-$program-tuned.$round" "${own[@]}"
        done
    done
done

"$python" "$root/Scripts/plots/bench_peers.py" "$root/runs/bench-peers" "$root/Docs"
