#!/usr/bin/env bash
# Training steps of several ranks, in one node and on clusters of 2 and 4 nodes with links of 1 Gbit/s, 10 Gbit/s and without
# a limit (Cluster/local), by each exchange of dtrain and by PyTorch DDP over gloo, beside dtrain on one rank with all cores.
# Writes the table in Docs/scaling.md and Docs/scaling.svg from the measurements, which stay in runs/bench-scaling.
#
# With --preset the presets of crops instead, without links of no limit: every sensible exchange of each, in alternation with one
# rank and with PyTorch DDP (Scripts/peers/pytorch_ddp.py --preset); no augmentation on either side. Their tables stand in
# Docs/scaling.md too, beside Docs/scaling-presets.svg, from runs/bench-scaling-presets.
#
# Usage: Scripts/bench-scaling.sh [--quick] [--only GLOB] [--list] [--pool 2] [--batch 100] [--steps 8] [--warmup 8]
#                                 [--peer-steps 4] [--rounds 3]
#        Scripts/bench-scaling.sh --preset "dense ren" [--quick] [--only GLOB] [--list] [--steps 8] [--warmup 8] [--peer-steps 4] [--rounds 3]
#   --quick        two ranks in one node and two nodes at 1 Gbit/s only
#   --steps N      steps of dtrain that count, after --warmup N that fill its cache of frames; a third of both where gradients
#                  travel at 1 Gbit/s, which takes seconds a step
#   --rounds N     runs of `split`, whose steps are as short as one rank's, each after a run of one rank; with --preset of all
#   --peer-steps N steps of PyTorch that count, after one
#   --only GLOB    only the cells that match, such as 'nodes-2-*/split'; the other measurements stay
#   --list         print the cells and stop
# Clusters need root; without, they are left out. Takes about half an hour on two cores, and 14 GB of memory with 4 ranks; a
# preset ten minutes. Installs PyTorch, and without --preset TensorFlow (several GB) into .python/ first. Let nothing else run
# meanwhile: under $MEASURE_LOCK, if that names a file, no two measurements that name it run at once.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/peers/measure.sh
source "$root/Scripts/peers/measure.sh"

declare -A option=([pool]=2 [batch]=100 [steps]=8 [warmup]=8 [peer-steps]=4 [rounds]=3)
# Nodes, ranks, and the links' rate.
places=("1 2 memory" "1 4 memory" "2 2 1gbit" "2 2 10gbit" "2 2 unlimited" "4 4 1gbit" "4 4 10gbit" "4 4 unlimited")
programs=(allreduce allreduce-bf16 sharded split auto ddp)
# Of presets of crops: the exchanges that make sense; only two have large fully connected layers to divide.
declare -A preset_programs=([deepprior]="allreduce sharded split auto ddp" [ren]="allreduce sharded split auto ddp"
    [dense]="allreduce auto ddp" [dtrain-hand]="allreduce auto ddp")
preset_places=("1 2 memory" "1 4 memory" "2 2 1gbit" "2 2 10gbit" "4 4 1gbit" "4 4 10gbit")
only='*' list=0
while (($#)); do
    name=${1#--}
    case $1 in
    --quick)
        places=("1 2 memory" "2 2 1gbit")
        preset_places=("${places[@]}")
        shift
        ;;
    --preset)
        choose_presets "${2:-}"
        shift 2
        ;;
    --list)
        list=1
        shift
        ;;
    --only)
        only=${2:-}
        [[ -n $only ]] || fail "--only needs a pattern. hint: --only 'nodes-2-*/split'"
        shift 2
        ;;
    *)
        [[ $1 == --* && -n $name && -v option[$name] ]] || fail "no option '$1'. hint: quick preset only list ${!option[*]}"
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "$1 needs a number. hint: $1 ${option[$name]}"
        option[$name]=$2
        shift 2
        ;;
    esac
done

# Directory of a place, by its nodes, ranks and rate.
place_name() { printf 'nodes-%s-ranks-%s-rate-%s' "$@"; }

# add_cells PRESET ROUNDS PLACE... -- PROGRAM...: those that are wanted, by turns in each place. The question's network is preset -,
# and its rounds are its programs' affair.
add_cells() {
    local preset=$1 rounds=$2 some=() place program round name
    shift 2
    while [[ $1 != -- ]]; do
        some+=("$1")
        shift
    done
    shift
    for place in "${some[@]}"; do
        read -r nodes ranks rate <<<"$place"
        for ((round = 1; round <= rounds; round++)); do
            for program in "$@"; do
                name=$(place_name "$nodes" "$ranks" "$rate")/$program
                # shellcheck disable=SC2053 # a pattern
                [[ $name != $only ]] || cells+=("$nodes $ranks $rate $program $preset $round")
            done
        done
    done
}

cells=()
if ((${#presets[@]})); then
    for preset in "${presets[@]}"; do
        # shellcheck disable=SC2086 # names
        add_cells "$preset" "${option[rounds]}" "${preset_places[@]}" -- ${preset_programs[$preset]}
    done
else
    add_cells - 1 "${places[@]}" -- "${programs[@]}"
fi
((${#cells[@]})) || fail "no cell matches '$only'. hint: Scripts/bench-scaling.sh --list"
if ((list)); then
    for cell in "${cells[@]}"; do
        read -r nodes ranks rate program preset round <<<"$cell"
        ((round == 1)) || continue
        [[ $preset == - ]] || printf '%s/' "$preset"
        printf '%s/%s\n' "$(place_name "$nodes" "$ranks" "$rate")" "$program"
    done
    exit 0
fi

requirements+=('command -v tc | iproute2')
set_up
peers=requirements.txt
((${#presets[@]} == 0)) || peers=presets.txt
python=$("$root/Scripts/python-env.sh" "$root/Scripts/requirements.txt" "$root/Scripts/peers/$peers")
swift build --package-path "$root" -c release --product dtrain >&2
dtrain=$root/.build/release/dtrain

# set_preset NAME: where measurements go, and what is trained.
set_preset() {
    preset=${1#-}
    measurements=$root/runs/bench-scaling${preset:+-presets/$preset}
    batch=${option[batch]}
    train=("$dtrain" train --pool "${option[pool]}")
    peer=(--pool "${option[pool]}")
    if [[ -n $preset ]]; then
        batch=${preset_batch[$preset]}
        train=("$dtrain" train --preset "$preset" --augment none)
        peer=(--preset "$preset")
    fi
    # Few frames, soon all in the cache: PyTorch's are made beforehand too.
    train+=(--batch-size "$batch" --log-every 1 --run-dir "$scratch/run" --synthetic-frames "$batch" --synthetic-test-frames 8)
    mkdir -p -- "$measurements"
    printf '{"processors": %d, "pool": %d, "batch": %d, "steps": %d, "rounds": %d}\n' "$(nproc)" "${option[pool]}" \
        "$batch" "${option[steps]}" "${option[rounds]}" >"$measurements/settings.json"
}

export DTRAIN_CLUSTER=bench$$
scratch=$(mktemp -d)
clean_up() {
    ((EUID != 0)) || "$root/Cluster/local/down" 2>/dev/null
    umount "$scratch" 2>/dev/null || true
    rm -rf -- "$scratch"
}
trap clean_up EXIT
# The run directory in memory: a disk would still be busy with the checkpoint of a run's end when the next is measured.
((EUID != 0)) || mount -t tmpfs tmpfs "$scratch" || say "run directories are on disk, which may disturb"

# A step of four nodes on slow links takes tens of seconds; what takes longer than this hangs.
limit=(timeout --kill-after 10 400)

# run_dtrain FILE SHARE LAUNCHER... -- ARGUMENT...: trains for one SHARE-th of the steps; keeps the metrics of those that count
# as FILE.jsonl and the output as FILE.log. Where dtrain refuses the arguments, FILE.refused says why.
run_dtrain() {
    local file=$1 warmup=$((option[warmup] / $2)) steps=$(((option[steps] + $2 - 1) / $2)) launcher=() status=0
    shift 2
    while [[ $1 != -- ]]; do
        launcher+=("$1")
        shift
    done
    shift
    rm -f -- "$file".{jsonl,refused}
    # Held by this shell: a launcher may be a function.
    exec 9>>"${MEASURE_LOCK:-/dev/null}"
    [[ -z ${MEASURE_LOCK:-} ]] || flock -x 9
    "${launcher[@]}" "${limit[@]}" "${train[@]}" --steps $((warmup + steps)) "$@" >"$file.log" 2>&1 9>&- || status=$?
    exec 9>&-
    if ((status == 0)); then
        # The prediction, and the steps that count.
        grep '"predicted"' "$scratch/run/metrics.jsonl" >"$file.jsonl" || true
        grep '"step_ms"' "$scratch/run/metrics.jsonl" | grep '"loss"' | tail -n "$steps" >>"$file.jsonl"
    fi
    rm -rf -- "$scratch/run"
    if ((status == 64)); then
        # A wrong command line: dtrain without this exchange.
        grep -m 1 '^dtrain: ' "$file.log" >"$file.refused" || printf 'refused\n' >"$file.refused"
        say "${file#"$measurements/"}: left out, $(<"$file.refused")"
    elif ((status)); then
        fail "failed: $file. hint: see $file.log"
    else
        say "${file#"$measurements/"}: last step $(grep -o '"step_ms":[0-9.]*' "$file.jsonl" | tail -n 1)"
    fi
}

# run_cell DIRECTORY NODES RANKS RATE PROGRAM ROUND
run_cell() {
    local directory=$1 nodes=$2 ranks=$3 rate=$4 program=$5 first=$6 launcher=() arguments=() threads name=$5
    threads=$(($(nproc) / ranks))
    ((threads)) || threads=1
    launcher=(run_ranks "$ranks")
    ((nodes == 1)) || launcher=("$root/Cluster/local/run" -np "$ranks")
    if [[ $program == ddp ]]; then
        arguments=("$python" "$root/Scripts/peers/pytorch_ddp.py" "${peer[@]}" --threads "$threads" --batch "$batch"
            --steps "${option[peer-steps]}" --warmup 1)
        # In a node DDP starts its processes itself, as its users do.
        if ((nodes == 1)); then
            launcher=()
            arguments+=(--processes "$ranks")
        else
            arguments+=(--master node1 --interface eth0)
        fi
        [[ -z $preset ]] || name+=.$first
        measure "$directory" "$name" "${launcher[@]}" "${limit[@]}" "${tuned[@]}" "${arguments[@]}"
        [[ -z $preset ]] || cp -- "$directory/one-rank.jsonl" "$directory/$name.one-rank.jsonl"
        return
    fi
    arguments=(--threads "$threads" --exchange "${program%-bf16}")
    [[ $program != *-bf16 ]] || arguments+=(--wire bf16)
    local share=1 last=$first round
    [[ -n $preset || $program != split ]] || last=${option[rounds]}
    [[ $rate != 1gbit || $preset == d* || $program == split || $program == auto ]] || share=3
    for ((round = first; round <= last; round++)); do
        # What it is held against, as machines drift; for the longer steps the last one does.
        [[ -z $preset && $program != split ]] || one_rank "$directory"
        run_dtrain "$directory/$program.$round" "$share" "${launcher[@]}" -- "${arguments[@]}"
        cp -- "$directory/one-rank.jsonl" "$directory/$program.$round.one-rank.jsonl"
    done
}

# one_rank DIRECTORY: one rank with all cores, beside which all else is seen.
one_rank() { run_dtrain "$1/one-rank" 1 -- --threads "$(nproc)"; }

failures=0 previous='' kept=''
for cell in "${cells[@]}"; do
    read -r nodes ranks rate program preset round <<<"$cell"
    if ((nodes > 1 && EUID != 0)); then
        say "left out: $cell, a cluster needs root"
        continue
    fi
    set_preset "$preset"
    if [[ $only == '*' && $kept != "$measurements" ]]; then
        rm -rf -- "$measurements"
        set_preset "$preset"
    fi
    kept=$measurements
    directory=$measurements/$(place_name "$nodes" "$ranks" "$rate")
    if [[ $directory != "$previous" ]]; then
        previous=$directory
        mkdir -p -- "$directory"
        if ((EUID == 0)); then
            "$root/Cluster/local/down" 2>/dev/null
        fi
        one_rank "$directory"
        ((nodes == 1)) || "$root/Cluster/local/up" "$nodes" "$rate"
    fi
    ((round > 1)) || rm -f -- "$directory/$program".*
    (run_cell "$directory" "$nodes" "$ranks" "$rate" "$program" "$round") || failures=$((failures + 1))
done

if ((${#presets[@]})); then
    "$python" "$root/Scripts/plots/scaling_presets.py" "$root/runs/bench-scaling-presets" "$root/Docs"
else
    "$python" "$root/Scripts/plots/scaling.py" "$measurements" "$root/Docs"
fi
((failures == 0)) || fail "$failures cells failed; their names stand above"
