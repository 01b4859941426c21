#!/usr/bin/env bash
# Attacks dtrain with real processes, and compares every outcome, bit for bit, with an undisturbed run:
#
#   Scripts/attack.sh [MINUTES] [--seed N] [--only NAME]... [--rounds N] [--large] [--network "FLAG..."] [--short]
#
# Every attack is made once, or --rounds times; with --large, mpirun is signalled in runs of the full network, one at a time.
# Then, while the minutes (10 unless given) last, more of them, most of them kills. Prints a table; exits with 0 only if dtrain
# survived every round. --network: another network than a small one of the question's kind, such as
# --network '--preset deepprior --crop-size 64 --clip norm:1 --accumulate 2 --ema 0.99'. The logs of a round it did not survive are kept, and named.
# --short: kills alone, in runs of fewer steps on at most 2 ranks, for networks with large checkpoints: all of the undisturbed runs' lie in memory.
# DTRAIN_ATTACK_LIMIT: seconds after which a round counts as hung (120), for machines slower than most.
# Moments and kinds of damage are drawn from the seed; what a moment hits is up to the machine.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=Scripts/attack/attacks.sh
source "$root/Scripts/attack/attacks.sh"

minutes=10 seed=$((SRANDOM % 1000000)) only=() times=1
# Rounds at once: mostly they wait, for the disk and for mpirun's own delays.
lanes=4
while (($#)); do
    case $1 in
        --seed | --only | --rounds | --network)
            (($# > 1)) || fail "$1 needs a value. hint: Scripts/attack.sh 10 --seed 1 --only kill_rank --rounds 2"
            case $1 in
                --seed) seed=$2 ;;
                --only) only+=("$2") ;;
                --rounds) times=$2 ;;
                --network)
                    export DTRAIN_ATTACK_NETWORK=$2
                    choose_network
                    ;;
            esac
            shift
            ;;
        --short)
            export DTRAIN_ATTACK_SHORT=1
            choose_length
            ;;
        --large)
            export DTRAIN_ATTACK_LARGE=1
            lanes=1
            ;;
        *) minutes=$1 ;;
    esac
    shift
done
[[ $minutes =~ ^[0-9]+([.][0-9]+)?$ && $seed =~ ^[0-9]+$ && $times =~ ^[1-9][0-9]*$ ]] ||
    fail "minutes '$minutes', seed '$seed', rounds '$times'. hint: numbers, such as Scripts/attack.sh 10 --seed 1"
# Other attacks count on the long runs.
[[ -z ${DTRAIN_ATTACK_SHORT:-} ]] || attacks=(kill_rank kill_launcher linked_directory)
for name in "${only[@]}"; do
    [[ " ${attacks[*]} " == *" $name "* ]] || fail "no attack '$name'. hint: one of ${attacks[*]}"
done
((${#only[@]})) && attacks=("${only[@]}")

export dtrain=$root/.build/release/dtrain
[[ -x $dtrain ]] || fail "$dtrain is not there. hint: swift build -c release"
command -v mpirun >/dev/null || fail "no mpirun. hint: Scripts/setup.sh"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 SWIFT_BACKTRACE=enable=no

declare -A rounds=() survived=() lost=() longest_end=() longest_stop=() skips=() running=()

# Rounds write to a disk; what is only compared with lies in memory, where there is some.
work=$(mktemp -d "${TMPDIR:-/tmp}/dtrain-attack.XXXXXX")
memory=$(mktemp -d /dev/shm/dtrain-attack.XXXXXX 2>/dev/null || mktemp -d)
export references=$memory/references
round=$work/references
mkdir -- "$references" "$round"
# A killed mpirun leaves its own files behind; they go with the rest.
export OMPI_MCA_orte_tmpdir_base=$work/mpi OMPI_MCA_btl_vader_backing_directory=$memory
mkdir -- "$work/mpi"
# shellcheck disable=SC2317 # the trap calls it
end_attack() {
    for pid in "${!running[@]}"; do pkill -TERM -P "$pid" || true; done
    wait
    rm -rf -- "$memory" "$work/mpi" "$work/references"
    rmdir -- "$work" 2>/dev/null || true
}
trap end_attack EXIT
trap 'exit 130' INT TERM

kills=0 writing=0 locked=0 number=0
# A round takes seconds; one that takes this long hangs.
limit=${DTRAIN_ATTACK_LIMIT:-120}

# begin_round ATTACK: starts one when there is a lane for it.
begin_round() {
    while ((${#running[@]} >= lanes)); do end_one_round; done
    number=$((number + 1))
    round=$work/$(printf '%04d' "$number")-$1
    mkdir -- "$round"
    # `timeout` ends by SIGKILL where it had to send one; bash forgets such a job, so the job is a shell that exits.
    { timeout -k 5 "$limit" bash "$root/Scripts/attack/round.sh" "$1" $((seed + number)) "$round" || exit; } \
        >"$round/log" 2>&1 &
    running[$!]=$round
}

# Waits for a round to end, and takes its figures.
end_one_round() {
    local status=0 pid attack name value
    wait -n -p pid "${!running[@]}" || status=$?
    round=${running[$pid]}
    unset "running[$pid]"
    attack=${round##*/}
    local own_seed=$((seed + 10#${attack%%-*}))
    attack=${attack#*-}
    if ((status == 77)); then
        skips[$attack]=$(<"$round/skipped")
        rm -rf -- "$round"
        return
    fi
    rounds[$attack]=$((${rounds[$attack]:-0} + 1))
    if ((status == 0)); then
        survived[$attack]=$((${survived[$attack]:-0} + 1))
    elif ((status == 124 || status == 137)); then
        say "$attack, seed $own_seed: hung for $limit s; its logs: $round"
    else
        say "$attack, seed $own_seed: $(tail -n 1 -- "$round/log"); its logs: $round"
    fi
    if [[ -e $round/figures ]]; then
        while read -r name value; do
            case $name in
                lost) lost[$attack]=$((${lost[$attack]:-0} + value)) ;;
                end) if ((value > ${longest_end[$attack]:-0})); then longest_end[$attack]=$value; fi ;;
                stop) if ((value > ${longest_stop[$attack]:-0})); then longest_stop[$attack]=$value; fi ;;
                kills) kills=$((kills + value)) ;;
                writing) writing=$((writing + value)) ;;
                locked) locked=$((locked + value)) ;;
            esac
        done <"$round/figures"
    fi
    ((status != 0)) || rm -rf -- "$round"
}

# seconds MILLISECONDS: in words; nothing for nothing.
seconds() { if [[ -n $1 ]]; then printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); fi; }

say "seed $seed, $minutes minutes, ${#attacks[@]} attacks; first the undisturbed runs"
deadline=$(awk -v minutes="$minutes" 'BEGIN { printf "%d", minutes * 60 }')
{ make_references && make_data; } 2>"$round/log" || fail "$(tail -n 1 -- "$round/log")"

for ((time = 0; time < times; time++)); do
    for attack in "${attacks[@]}"; do begin_round "$attack"; done
done
next=0
while ((SECONDS < deadline)); do
    for attack in kill_rank kill_rank kill_launcher kill_rank kill_rank kill_launcher "${attacks[next++ % ${#attacks[@]}]}"; do
        if ((SECONDS < deadline)) && [[ " ${attacks[*]} " == *" $attack "* && -z ${skips[$attack]:-} ]]; then
            begin_round "$attack"
        fi
    done
done
while ((${#running[@]})); do end_one_round; done

verdict=0
row() { printf '%-22s %6s %8s %10s %12s %12s  %s\n' "$@"; }
row attack rounds survived 'lost steps' 'death->end' 'signal->end' verdict
for attack in "${attacks[@]}"; do
    if [[ -n ${skips[$attack]:-} ]]; then
        result="skipped: ${skips[$attack]}"
    elif ((${survived[$attack]:-0} == ${rounds[$attack]})); then
        result=good
    else
        result=BAD
        verdict=1
    fi
    row "${attack//_/ }" "${rounds[$attack]:-0}" "${survived[$attack]:-0}" "${lost[$attack]:-}" \
        "$(seconds "${longest_end[$attack]:-}")" "$(seconds "${longest_stop[$attack]:-}")" "$result"
done
((locked == 0)) || say "mpirun locked itself up $locked times after all ranks had ended (Open MPI's own fault), and was killed"
say "$kills kills, $writing of them found a checkpoint being written or removed; $number rounds in $SECONDS s, seed $seed"
exit "$verdict"
