# shellcheck shell=bash
# Faults of processors, memory and hosts: a rank that stands still, a NaN in one rank's gradient, a flipped bit in one
# rank's weights, a checkpoint that cannot be written. Most are asked for by DTRAIN_FAULT, which only tests set.
attacks+=(stopped_rank stalled_rank nan_gradient nan_skipped flipped_weight failed_write short_memory)

# draw_place: $ranks, $victim (one of them) and $step, beyond the first checkpoint.
draw_place() {
    choose "$@"
    ranks=$chosen
    draw "$ranks"
    victim=$drawn
    draw 90
    step=$((drawn + 12))
}

# expect_stall RUN RANKS RANK: the watchdog has ended the run and named the rank; the run goes on as if nothing had been.
expect_stall() {
    expect_refusal 'no progress for' "rank $3 on"
    expect_same_checkpoints "$1" "$references/$2"
    record_lost "$1"
    finish "$2" "$1" --checkpoint-every 10
}

attack_stopped_rank() {
    local run=$round/run ranks victim step
    draw_place 2 3
    train "$ranks" "$run" --checkpoint-every 10 --stall-timeout 3
    wait_until has_lines "$run/metrics.jsonl" "$step" || broken "the run ended by itself; see $log"
    find_ranks
    kill -STOP "${rank_pids[victim]}"
    read_clock
    all_gone "$now" end "$launcher" "${rank_pids[@]}"
    expect_stall "$run" "$ranks" "$victim"
}

attack_stalled_rank() {
    local run=$round/run ranks victim step
    draw_place 1 2 3
    DTRAIN_FAULT=stall:rank=$victim:step=$step train "$ranks" "$run" --checkpoint-every 10 --stall-timeout 3
    expect_stall "$run" "$ranks" "$victim"
}

attack_nan_gradient() {
    local run=$round/run ranks victim step
    draw_place 1 2 3
    DTRAIN_FAULT=nan-gradient:rank=$victim:step=$step train "$ranks" "$run" --checkpoint-every 10
    expect_refusal "step $step" "rank $victim" 'not finite'
    expect_same_checkpoints "$run" "$references/$ranks"
    record_lost "$run"
    finish "$ranks" "$run" --checkpoint-every 10
}

attack_nan_skipped() {
    local run=$round/run ranks victim step
    draw_place 1 2 3
    DTRAIN_FAULT=nan-gradient:rank=$victim:step=$step train "$ranks" "$run" --checkpoint-every 10 --on-nonfinite skip
    expect_success
    expect_words "step $step" "rank $victim" 'no rank updates in this step'
    ! grep -qE '"(loss|joint_error_mm)":null' "$run/metrics.jsonl" || broken "a loss is not finite; see $run/metrics.jsonl"
    record lost 0
}

attack_flipped_weight() {
    local run=$round/run ranks victim step
    # Of two that differ nothing says which is right.
    draw_place 2 3 3
    DTRAIN_FAULT=flip-weight:rank=$victim:step=$step train "$ranks" "$run" --checkpoint-every 10 --verify-every 5
    expect_refusal 'the weights of' "rank"
    ((ranks == 2)) || expect_words "the weights of rank $victim differ"
    expect_same_checkpoints "$run" "$references/$ranks"
    record_lost "$run"
    finish "$ranks" "$run" --checkpoint-every 10
}

# Some tries fail and the run goes on; all fail and it ends, with what it had saved.
attack_failed_write() {
    local run=$round/run ranks victim step
    draw_place 1 2
    DTRAIN_FAULT=write-error:step=$step:times=1 train "$ranks" "$run" --checkpoint-every 10
    expect_success
    expect_same_run "$run" "$references/$ranks"
    DTRAIN_FAULT=write-error:step=$step:times=1000 train "$ranks" "$run-2" --checkpoint-every 10
    expect_refusal
    expect_same_checkpoints "$run-2" "$references/$ranks"
    record_lost "$run-2"
    finish "$ranks" "$run-2" --checkpoint-every 10
}

attack_short_memory() {
    local run=$round/run ranks victim step
    draw_place 1 2
    DTRAIN_FAULT=short-memory train "$ranks" "$run" --checkpoint-every 10
    expect_success
    expect_same_run "$run" "$references/$ranks"
    record lost 0
}
