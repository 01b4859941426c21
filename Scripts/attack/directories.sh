# shellcheck shell=bash
# What people and scripts do to a run directory: two runs in one, links, files removed, torn or replaced.
attacks+=(two_runs two_at_once linked_directory torn_metrics no_configuration removed_directory in_the_way)

# A run in a directory that is in use is refused, and the first one goes on undisturbed.
attack_two_runs() {
    local run=$round/run first
    choose 1 2
    train "$chosen" "$run" --checkpoint-every 1 --keep-checkpoints 2
    first=$launcher
    local ranks=$chosen
    wait_until has "$run/checkpoints/step-*" || broken "the first run ended by itself; see $log"
    kill -STOP "$first"
    choose 1 2
    train "$chosen" "$run" --resume auto
    expect_refusal 'another run uses this directory'
    kill -CONT "$first"
    launcher=$first log=$round/run-1.log
    expect_success
    expect_same_run "$run" "$references/$ranks"
    record lost 0
}

# Of two that start at the same moment one gets the directory, or the second goes on from the end of the first.
attack_two_at_once() {
    local run=$round/run first log_of_first
    train 1 "$run" --checkpoint-every 10 --resume auto
    first=$launcher log_of_first=$log
    draw 60
    sleep_ms "$drawn"
    train 1 "$run" --checkpoint-every 10 --resume auto
    ended
    local statuses=$status log_of_second=$log
    launcher=$first log=$log_of_first
    ended
    case "$status $statuses" in
        "0 0") ;;
        "0 1") log=$log_of_second && expect_words 'another run uses this directory' ;;
        "1 0") expect_words 'another run uses this directory' ;;
        *) broken "exit statuses $status and $statuses; see $log_of_first and $log_of_second" ;;
    esac
    expect_same_run "$run" "$references/1"
    record lost 0
}

# A run directory that is a symbolic link: the kill round holds there too.
attack_linked_directory() {
    mkdir -- "$round/elsewhere"
    ln -s elsewhere "$round/run"
    kill_round rank 1 2
}

attack_torn_metrics() {
    local run=$round/run size
    choose 1 2
    local ranks=$chosen
    half_run "$ranks" "$run"
    # Beyond the line of step 60 there is the validation's and the mean label's; a kill tears the last line only.
    printf '{"step":61,"epoch":5.7,"loss":4' >>"$run/metrics.jsonl"
    choose 0 1 "$((RANDOM % 29))"
    size=$(stat -c %s -- "$run/metrics.jsonl")
    truncate -s $((size - chosen)) -- "$run/metrics.jsonl"
    finish "$ranks" "$run" --checkpoint-every 20
    record lost 0
}

attack_no_configuration() {
    local run=$round/run
    half_run 1 "$run"
    rm -- "$run/config.yaml"
    finish 1 "$run" --checkpoint-every 20
    [[ -s $run/config.yaml ]] || broken "config.yaml was not written anew"
    record lost 0
}

# The whole run directory, or its checkpoints, removed or moved while the run lasts, and perhaps another run in its place: the
# first ends with words, by no crash and no hang; what was moved away is whole, and the other run is left alone.
attack_removed_directory() {
    local run=$round/run first first_log
    choose 1 2
    local ranks=$chosen
    train "$ranks" "$run" --checkpoint-every 1 --keep-checkpoints 2 --steps 100000
    first=$launcher first_log=$log
    wait_until has "$run/checkpoints/step-*" || broken "the run ended by itself; see $log"
    choose remove move move-and-replace move-checkpoints
    local removal=$chosen
    printf 'removal: %s\n' "$removal" >&2
    case $removal in
        # The run may write while it is being removed.
        remove) until rm -rf -- "$run"; do :; done 2>/dev/null ;;
        move) mv -- "$run" "$round/moved" ;;
        move-checkpoints) mkdir -- "$round/moved" && mv -- "$run/checkpoints" "$round/moved/" ;;
        move-and-replace)
            mv -- "$run" "$round/moved"
            train 1 "$run" --checkpoint-every 20
            expect_success
            expect_same_run "$run" "$references/1"
            ;;
    esac
    launcher=$first log=$first_log
    expect_refusal "$run"
    case $removal in
        remove)
            [[ ! -e $run ]] || broken "$run was begun anew"
            return
            ;;
        move-checkpoints) mv -- "$round/moved/checkpoints" "$run/" ;;
        *) [[ ! -e $run || $removal == move-and-replace ]] || broken "$run was begun anew" ;;
    esac
    [[ $removal == move-checkpoints ]] || run=$round/moved
    newest_step "$run"
    ((newest > 0)) || broken "no checkpoint is left in $run"
    if ((newest < steps)); then finish "$ranks" "$run" --checkpoint-every 20; fi
}

# Something else stands where the run wants to write: refused in words, nothing lost.
attack_in_the_way() {
    local run=$round/run before
    half_run 1 "$run"
    choose metrics-directory metrics-link metrics-fifo checkpoints-file lock-directory lock-link run-file
    printf 'in the way: %s\n' "$chosen" >&2
    mkdir -- "$round/kept"
    case $chosen in
        metrics-*) mv -- "$run/metrics.jsonl" "$round/kept/" ;;
        checkpoints-*) mv -- "$run/checkpoints" "$round/kept/" ;;
        run-*) mv -- "$run" "$round/kept/" ;;
    esac
    case $chosen in
        metrics-directory) mkdir -- "$run/metrics.jsonl" ;;
        metrics-link) ln -s ../kept/metrics.jsonl "$run/metrics.jsonl" ;;
        metrics-fifo) mkfifo -- "$run/metrics.jsonl" ;;
        checkpoints-file) : >"$run/checkpoints" ;;
        lock-directory) mkdir -- "$run/lock" ;;
        lock-link) ln -s /dev/null "$run/lock" ;;
        run-file) : >"$run" ;;
    esac
    before=$(tree "$round/kept")
    train 1 "$run" --resume auto
    expect_refusal "$run"
    [[ $(tree "$round/kept") == "$before" ]] || broken "files outside the run directory were changed"
    # Put right again, the run goes on.
    case $chosen in
        lock-*) rm -rf -- "$run/lock" ;;
        metrics-*) rm -rf -- "$run/metrics.jsonl" && mv -- "$round/kept/metrics.jsonl" "$run/" ;;
        checkpoints-*) rm -- "$run/checkpoints" && mv -- "$round/kept/checkpoints" "$run/" ;;
        run-*) rm -- "$run" && mv -- "$round/kept/run" "$run" ;;
    esac
    finish 1 "$run" --checkpoint-every 20
    record lost 0
}
