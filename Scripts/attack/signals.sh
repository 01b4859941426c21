# shellcheck shell=bash
# Ways to ask for an end: a signal to a rank or to mpirun, a file `stop`, a time limit. The run saves, ends with the code
# that says so, and goes on with the same bits; never is more lost than the step under way.
attacks+=(stop_rank stop_launcher stop_file time_limit)

# stop_round HOW RANKS [ARGUMENT...]: HOW is a signal and its victim, as in "TERM rank" and "USR1 launcher", or `file`, or
# `time`; the arguments are dtrain's.
stop_round() {
    local how=$1 ranks=$2 run=$round/run expected=75 words='stopped by a signal' limit=()
    shift 2
    case $how in
        "TERM launcher" | "INT launcher" | "HUP launcher")
            # Open MPI's mpirun answers these by sending SIGTERM and, a second later, SIGKILL, and exits with 1 of its own,
            # whatever the ranks say; the ranks' last words may come after its end. (It passes the other signals on.)
            expected=1 words='saving step'
            ;;
        file) expected=0 words="stopped by the file 'stop'" ;;
        time) limit=(--time-limit 2) words='stopped by --time-limit' ;;
    esac
    # Steps without end, so that it never comes too late; the last checkpoint says where it came.
    local endless=("${settings[@]}" --checkpoint-every 1000000000 --log-every 1 --validate-every 1000000000 "$@")
    start "$ranks" "${endless[@]}" --steps 1000000000 --run-dir "$run" "${limit[@]}"
    wait_until has_lines "$run/metrics.jsonl" 2 || broken "the run ended by itself; see $log"
    draw 200
    sleep_ms "$drawn"
    find_ranks
    choose "${rank_pids[@]}"
    read_clock
    case $how in
        file) : >"$run/stop" ;;
        time) ;;
        *rank) kill -s "${how% *}" "$chosen" ;;
        *) kill -s "${how% *}" "$launcher" ;;
    esac
    # What is saved last may be saved after the end of mpirun: the next run waits for it. All else is waited for here.
    local early=0
    [[ $expected == 1 ]] && draw 2 && early=$drawn
    if ((!early)); then
        # The time limit is the run's own: what it takes is no answer to a signal.
        all_gone "$now" "$([[ $how == time ]] && echo limit || echo stop)" "$launcher" "${rank_pids[@]}"
    fi
    ended
    ((status == expected)) || broken "exit status $status instead of $expected after '$how'; see $log"
    expect_words "$words"
    local made
    made=$(grep -oE '^\{"step":[0-9]+,"epoch"' -- "$run/metrics.jsonl" | tail -n 1 | grep -oE '[0-9]+')
    start "$ranks" "${endless[@]}" --steps 1 --resume auto --run-dir "$run"
    expect_success
    newest_step "$run"
    ((newest > 0)) || broken "no checkpoint was written; see $log"
    ((made <= newest)) || broken "step $made was made, and step $newest is the last that was saved"
    record lost $((made > newest ? made - newest : 0))
    local last=$((newest + 2))
    # Two more steps, against a run that is never stopped.
    for run in "$round/run" "$round/whole"; do
        start "$ranks" "${endless[@]}" --steps "$last" --resume auto --run-dir "$run"
        expect_success
    done
    last=checkpoints/$(checkpoint_name "$last")
    diff -rq -- "$round/run/$last" "$round/whole/$last" >&2 ||
        broken "the resumed run has other bits than one that was never stopped"
}

# draw_exchange RANKS: $exchange is an option, or nothing.
draw_exchange() {
    exchange=()
    (($1 > 1)) || return 0
    choose allreduce sharded split
    exchange=(--exchange "$chosen")
}

attack_stop_rank() {
    choose TERM INT HUP USR1 USR2 XCPU
    local signal=$chosen exchange
    choose 1 2 3
    local ranks=$chosen
    draw_exchange "$ranks"
    stop_round "$signal rank" "$ranks" "${exchange[@]}"
}

attack_stop_launcher() {
    choose INT INT TERM TERM HUP USR1 USR2
    local signal=$chosen exchange
    choose 1 2 3
    local ranks=$chosen
    # mpirun is not used for one rank by `start`.
    ((ranks > 1)) || ranks=2
    draw_exchange "$ranks"
    # The whole network, in the long form: a step and a checkpoint take longer than mpirun waits.
    local large=()
    [[ -z ${DTRAIN_ATTACK_LARGE:-} ]] || large=(--image-size 320x240 --hidden 1024 --batch-size 8 --threads 0)
    stop_round "$signal launcher" "$ranks" "${exchange[@]}" "${large[@]}"
}

attack_stop_file() {
    choose 1 2 3
    stop_round file "$chosen"
}

attack_time_limit() {
    choose 1 2
    stop_round time "$chosen"
}
