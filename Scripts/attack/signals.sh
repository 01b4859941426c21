# shellcheck shell=bash
# Ways to ask for an end: a signal to a rank or to mpirun, a file `stop`, a time limit. The run saves, ends with the code
# that says so, and goes on with the same bits.
attacks+=(stop_rank stop_launcher stop_file time_limit)

# stop_round HOW RANKS: HOW is a signal and its victim, as in "TERM rank" and "USR1 launcher", or `file`, or `time`.
stop_round() {
    local how=$1 ranks=$2 run=$round/run expected=75 words='stopped by a signal' limit=()
    case $how in
        "TERM launcher" | "INT launcher")
            # Open MPI's mpirun answers these by sending SIGTERM and, so many seconds later, SIGKILL, and exits with 1 of its
            # own, whatever the ranks say. (It passes SIGUSR1 on.)
            export OMPI_MCA_odls_base_sigkill_timeout=3
            expected=1
            ;;
        file) expected=0 words="stopped by the file 'stop'" ;;
        time) limit=(--time-limit 2) words='stopped by --time-limit' ;;
    esac
    # Steps without end, so that it never comes too late; the last checkpoint says where it came.
    local endless=("${settings[@]}" --checkpoint-every 1000000000 --log-every 1000000 --validate-every 1000000000)
    start "$ranks" "${endless[@]}" --steps 1000000000 --run-dir "$run" "${limit[@]}"
    wait_until has "$run/metrics.jsonl" || broken "the run ended by itself; see $log"
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
    # The time limit is the run's own: what it takes is no answer to a signal.
    all_gone "$now" "$([[ $how == time ]] && echo limit || echo stop)" "$launcher" "${rank_pids[@]}"
    ended
    ((status == expected)) || broken "exit status $status instead of $expected after '$how'; see $log"
    expect_words "$words"
    newest_step "$run"
    local last=$((newest + 2))
    ((newest > 0)) || broken "no checkpoint was written; see $log"
    # Two more steps, against a run that is never stopped.
    for run in "$round/run" "$round/whole"; do
        start "$ranks" "${endless[@]}" --steps "$last" --resume auto --run-dir "$run"
        expect_success
    done
    last=checkpoints/$(checkpoint_name "$last")
    diff -rq -- "$round/run/$last" "$round/whole/$last" >&2 ||
        broken "the resumed run has other bits than one that was never stopped"
    record lost 0
}

attack_stop_rank() {
    choose TERM INT USR1
    local signal=$chosen
    choose 1 2 3
    stop_round "$signal rank" "$chosen"
}

attack_stop_launcher() {
    choose TERM INT USR1
    local signal=$chosen
    choose 2 3
    stop_round "$signal launcher" "$chosen"
}

attack_stop_file() {
    choose 1 2 3
    stop_round file "$chosen"
}

attack_time_limit() {
    choose 1 2
    stop_round time "$chosen"
}
