# shellcheck shell=bash
# What every attack is made of: starting runs, waiting for moments and ends, comparing with the undisturbed run.
# Sourced by round.sh and by ../attack.sh. A round's directory is $round; $references holds the undisturbed runs.

# Steps of an undisturbed run, which cross epochs, with validations between checkpoints; and the most ranks.
choose_length() {
    steps=120 most_ranks=3
    # By attack.sh --short: networks whose checkpoints are large.
    [[ -z ${DTRAIN_ATTACK_SHORT:-} ]] || steps=24 most_ranks=2
}
choose_length

# A small network, so that rounds are short.
choose_network() {
    settings=(--image-size 16x16 --hidden 16)
    # Another one, by attack.sh --network: crops need frames with more of a hand.
    [[ -z ${DTRAIN_ATTACK_NETWORK:-} ]] || read -r -a settings <<<"--image-size 64x48 $DTRAIN_ATTACK_NETWORK"
    settings+=(--batch-size 6 --synthetic-frames 64 --synthetic-test-frames 8 --threads 1 --log-every 1 --validate-every 10)
}
choose_network

# broken REASON...: ends the round; dtrain did not survive.
broken() {
    printf 'BROKEN: %s\n' "$*" >&2
    exit 1
}

# skipped REASON...: ends the round; this machine cannot show it.
skipped() {
    printf '%s\n' "$*" >"$round/skipped"
    exit 77
}

# record NAME NUMBER: a figure of the round, for the table.
record() { printf '%s %s\n' "$1" "$2" >>"$round/figures"; }

# draw N: $drawn is 0...N-1. (Not by output: a subshell would not advance the generator.)
draw() { drawn=$(((RANDOM << 15 | RANDOM) % $1)); }

# choose WORD...: $chosen is one of them.
choose() {
    draw $#
    chosen=${*:drawn+1:1}
}

# $now: milliseconds of a clock.
read_clock() {
    now=${EPOCHREALTIME/[.,]/}
    now=${now:0:-3}
}

# sleep_ms N
sleep_ms() { sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"; }

run_count=0

# start RANKS ARGUMENT...: dtrain in the background; $launcher is the process started, $log what it prints.
start() {
    local ranks=$1 own=()
    shift
    log=$round/run-$((++run_count)).log
    # Of two mpiruns that start at the same moment in one directory one may fail ("mkdir ... File exists"): each has its own.
    [[ -z ${OMPI_MCA_orte_tmpdir_base:-} ]] || own=(env "OMPI_MCA_orte_tmpdir_base=$OMPI_MCA_orte_tmpdir_base/${round##*/}-$run_count")
    printf 'run %d: %d ranks: dtrain %s\n' "$run_count" "$ranks" "$*" >&2
    if ((ranks == 1)); then
        "$dtrain" "$@" >"$log" 2>&1 &
    else
        "${own[@]}" mpirun -np "$ranks" --oversubscribe --bind-to none "$dtrain" "$@" >"$log" 2>&1 &
    fi
    launcher=$!
}

# Trains in a run directory to the last step. train RANKS RUN ARGUMENT...
train() {
    local ranks=$1 run=$2
    shift 2
    start "$ranks" "${settings[@]}" --steps "$steps" --run-dir "$run" "$@"
}

# Whether a process is there and no zombie: an orphan's may stay for ever where init reaps none.
is_alive() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    [[ ${stat##*) } != [ZX]* ]]
}

# $rank_pids: the ranks that $launcher runs, in the order of their start; without mpirun, itself. Between mpirun and a rank
# stands the rank's supervisor.
find_ranks() {
    rank_pids=()
    [[ -n $launcher ]] || return 0
    local program children
    { IFS= read -r -d '' program <"/proc/$launcher/cmdline"; } 2>/dev/null || return 0
    if [[ $program == "$dtrain" ]]; then
        rank_pids=("$launcher")
        return
    fi
    for children in /proc/"$launcher"/task/*/children; do
        local pids=()
        { read -r -a pids <"$children"; } 2>/dev/null || true
        local supervisor
        for supervisor in "${pids[@]}"; do
            local own=()
            { read -r -a own <"/proc/$supervisor/task/$supervisor/children"; } 2>/dev/null || true
            rank_pids+=("${own[0]:-$supervisor}")
        done
    done
}

# wait_until CONDITION...: until the command succeeds; fails when the launcher ended first.
wait_until() {
    until "$@"; do
        is_alive "$launcher" || return 1
    done
}

# has_lines FILE N: the file has N lines or more.
has_lines() {
    local lines=()
    { mapfile -t lines <"$1"; } 2>/dev/null || true
    ((${#lines[@]} >= $2))
}

# has PATTERN: a name matches.
has() { compgen -G "$1" >/dev/null; }

# ended: waits for the launcher; $status is its exit status.
ended() {
    status=0
    wait "$launcher" || status=$?
}

# all_gone SINCE NAME PID...: waits until none of the processes, and no launcher, is left; records how long that took.
all_gone() {
    local since=$1 name=$2
    shift 2
    processes_gone "$@"
    # When a rank dies in its first moments, Open MPI's mpirun may lock itself up at its own end (4.1.4: PMIx_server_finalize
    # waits for a lock for ever). All of dtrain is gone then.
    read_clock
    local patience=$((now + 10000))
    while is_alive "$launcher"; do
        read_clock
        if ((now > patience)); then
            kill -KILL "$launcher"
            record locked 1
            return
        fi
        sleep 0.005
    done
    read_clock
    record "$name" $((now - since))
}

# processes_gone PID...: waits until none of them is left, a launcher that is no rank apart.
processes_gone() {
    local pid
    for pid in "$@"; do
        [[ $pid == "$launcher" && $pid != "${rank_pids[0]:-}" ]] || while is_alive "$pid"; do sleep 0.005; done
    done
}

# expect_success: the last run ended well.
expect_success() {
    ended
    ((status == 0)) || broken "exit status $status instead of 0; see $log"
}

# expect_refusal [TEXT...]: the last run ended with an error told in words that hold each text, and by no signal.
expect_refusal() {
    ended
    local text
    ((status != 0)) || broken "exit status 0 instead of an error; see $log"
    ((status < 126)) || broken "exit status $status, not a refusal; see $log"
    expect_words 'hint:' "$@"
}

# expect_words TEXT...: the last run printed each.
expect_words() {
    local text
    for text in "$@"; do
        grep -qF -e "$text" -- "$log" || broken "'$text' is not in $log"
    done
    # Swift's and the kernel's words for a crash.
    ! grep -E 'Fatal error|Segmentation fault|Bus error|Illegal instruction' -- "$log" || broken "it crashed; see $log"
}

# The losses of a run and its validations, without what depends on the clock or on where checkpoints were written.
losses() {
    grep -E '^\{"step":[0-9]+,"(epoch|validation)"' -- "$1/metrics.jsonl" |
        grep -oE '"(step|epoch|loss|joint_error_mm|success_40mm|output_gradient_norm)":[^,}]*' || true
}

# expect_same_checkpoints RUN REFERENCE: every checkpoint of the run holds the undisturbed run's bits.
expect_same_checkpoints() {
    local checkpoint
    for checkpoint in "$1"/checkpoints/step-*; do
        [[ -e $checkpoint ]] || continue
        diff -rq -- "$checkpoint" "$2/checkpoints/${checkpoint##*/}" >&2 ||
            broken "$checkpoint differs from the undisturbed run's"
    done
}

# expect_same_run RUN REFERENCE: the run has reached the last step, with the bits and losses of the undisturbed run, and
# nothing temporary is left.
expect_same_run() {
    local last
    last=checkpoints/$(checkpoint_name "$steps")
    [[ -d $1/$last ]] || broken "$1/$last is not there"
    expect_same_checkpoints "$1" "$2"
    cmp -- <(losses "$1") <(losses "$2") >&2 || broken "$1/metrics.jsonl has other losses than the undisturbed run's"
    ! has "$1/checkpoints/.*-*" || broken "temporary directories are left in $1/checkpoints"
    [[ ! -e $1/lock ]] || broken "$1/lock is left"
}

# checkpoint_name STEP
checkpoint_name() { printf 'step-%08d' "$1"; }

# newest_step RUN: $newest is the step of the newest checkpoint; 0 without any.
newest_step() {
    local checkpoints=("$1"/checkpoints/step-*)
    newest=${checkpoints[-1]##*-}
    [[ $newest == '*' ]] && newest=0
    newest=$((10#$newest))
}

# record_lost RUN: steps that were made and logged, and are in no checkpoint.
record_lost() {
    local last
    last=$(tail -n 2 -- "$1/metrics.jsonl" 2>/dev/null | grep -oE '^\{"step":[0-9]+' | tail -n 1 || true)
    newest_step "$1"
    record lost $((${last:+${last##*:}} + 0 > newest ? ${last##*:} - newest : 0))
}

# finish RANKS RUN [ARGUMENT...]: resumes the run to its end, and compares it with that of $reference, or of its ranks.
finish() {
    train "$@" --resume auto
    expect_success
    expect_same_run "$2" "${reference:-$references/$1}"
}

# make_references: undisturbed runs on 1 to $most_ranks ranks and with every exchange, every step's checkpoint kept. An exchange adds
# in an order of its own, so its bits are its own.
make_references() {
    local ranks exchange
    for ((ranks = 1; ranks <= most_ranks; ranks++)); do
        for exchange in '' -sharded -split; do
            [[ $ranks$exchange != 1-* ]] || continue
            train "$ranks" "$references/$ranks$exchange" --checkpoint-every 1 --keep-checkpoints 1000 \
                --exchange "$([[ -n $exchange ]] && echo "${exchange#-}" || echo allreduce)"
            expect_success
        done
    done
}
