# shellcheck shell=bash
# SIGKILL of a rank or of mpirun at any moment. Each round: kill, compare all checkpoints that are left, resume; up to
# three times; then the run ends, and is compared with the undisturbed one.
attacks+=(kill_rank kill_launcher)

# Waits for a moment drawn at random in a run that has just been started; fails when the run has ended.
aim() {
    local run=$1 lines=()
    { mapfile -t lines <"$run/metrics.jsonl"; } 2>/dev/null || true
    draw $((steps - ${#lines[@]} > 1 ? steps - ${#lines[@]} : 1))
    local line=$((${#lines[@]} + drawn + 1))
    # Half of them within the writing of a checkpoint, its stages alike.
    choose start clock step step tensors state removing best
    printf 'aim: %s, from line %d of the metrics on\n' "$chosen" "$line" >&2
    case $chosen in
        start)
            draw 400
            sleep_ms "$drawn"
            ;;
        clock)
            draw 1000
            sleep_ms "$drawn"
            ;;
        step) wait_until has_lines "$run/metrics.jsonl" "$line" ;;
        *)
            wait_until has_lines "$run/metrics.jsonl" "$line" || return 1
            case $chosen in
                tensors) wait_until has "$run/checkpoints/.tmp-step-*" ;;
                state) wait_until has "$run/checkpoints/.tmp-step-*/state.json" ;;
                removing) wait_until has "$run/checkpoints/.removing-*" ;;
                best) wait_until has "$run/checkpoints/.tmp-best-*" ;;
            esac
            ;;
    esac
    is_alive "$launcher"
}

# strike RUN REFERENCE VICTIM: waits for a moment, and kills `rank` or `launcher`; fails when the run ended before. When all
# are gone, what is left must be whole.
strike() {
    local run=$1 reference=$2 victim=$3 orphans
    aim "$run" || return 1
    find_ranks
    # The first rank writes the checkpoints, and is the victim as often as all others together.
    draw 2
    if [[ $victim == launcher || -z ${rank_pids[*]} ]]; then
        victim=$launcher
    elif ((drawn == 0 || ${#rank_pids[@]} == 1)); then
        victim=${rank_pids[0]}
    else
        choose "${rank_pids[@]:1}"
        victim=$chosen
    fi
    kill -KILL "$victim" 2>/dev/null || return 1
    read_clock
    # Ranks that were just being started are no children of a dead mpirun.
    mapfile -t orphans < <(pgrep -f -- "--run-dir $run ")
    all_gone "$now" end "$launcher" "${rank_pids[@]}" "${orphans[@]}"
    ended
    ((status != 0)) || return 1
    record kills 1
    if has "$run/checkpoints/.*-step-*" || has "$run/checkpoints/.tmp-best-*"; then record writing 1; fi
    expect_same_checkpoints "$run" "$reference"
    record_lost "$run"
}

# kill_round VICTIM RANKS...: a whole round.
kill_round() {
    local victim=$1 run=$round/run reference options kills struck=0 ranks few=()
    shift
    for ranks; do ((ranks > most_ranks)) || few+=("$ranks"); done
    choose "${few[@]}"
    ranks=$chosen
    choose 2 5 15 40
    options=(--checkpoint-every "$chosen" --keep-checkpoints 2)
    reference=$references/$ranks
    if ((ranks > 1)); then
        choose allreduce sharded split
        options+=(--exchange "$chosen")
        [[ $chosen == allreduce ]] || reference+=-$chosen
    fi
    draw 3
    kills=$((drawn + 1))
    # A run that ends before its moment comes is no round: another is begun.
    while ((struck == 0)); do
        # What is in it, as the run directory may be a link.
        [[ ! -e $run ]] || find "$run/" -mindepth 1 -delete
        while ((struck < kills)); do
            train "$ranks" "$run" --resume auto "${options[@]}"
            if strike "$run" "$reference" "$victim"; then
                struck=$((struck + 1))
            else
                expect_success
                break
            fi
        done
    done
    finish "$ranks" "$run" "${options[@]}"
}

attack_kill_rank() { kill_round rank 1 2 3; }
attack_kill_launcher() { kill_round launcher 2 3; }
