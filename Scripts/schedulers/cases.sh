# Shared by the files beside it, which Scripts/schedulers.sh sources: cases, their runs and their table. Each file defines
# prepare, finish, and its cases: a function NAME and a line `add_case NAME short|long together|alone` above it.
# shellcheck shell=bash disable=SC2034,SC2154,SC2015

build=$root/.build/release
cases=()
declare -A form mode

add_case() {
    cases+=("$1")
    form[$1]=$2 mode[$1]=$3
}

# A small network on frames of its own; a step takes milliseconds; a second with DTRAIN_FAULT=slow.
settings=(--image-size 64x48 --hidden 64 --batch-size 10 --log-every 1 --synthetic-frames 200 --synthetic-test-frames 10
    --exchange allreduce)

# can_make_nodes WHAT: whether the machine can run a cluster of Cluster/local; says why not.
can_make_nodes() {
    if ((EUID != 0)); then
        say "$1: skipped, it needs root"
    elif ! unshare --net --mount --uts ip link add name probe type bridge 2>/dev/null; then
        say "$1: skipped, no right to make network namespaces here, or no ip (iproute2)"
    else
        return 0
    fi
    return 1
}

# await SECONDS WHAT COMMAND...: runs the command until it succeeds; the case fails when it does not in time.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || bad "$what: not within the time"
        sleep 0.2
    done
}

# The case in which it stands has failed.
bad() {
    echo "BAD: $*"
    exit 1
}

# has FILE TEXT: the log has the text by now.
has() { grep -qF -- "$2" "$1"; }
# reached LOG STEP: the run whose log it is has made the step.
reached() { grep -qE "^step $2/" "$1"; }

# same_bits RUN STEPS: the run ended at that step, with the weights and moments of one that nothing disturbed.
same_bits() {
    local file place
    place=checkpoints/step-$(printf '%08d' "$2")
    [[ -e $1/$place ]] || bad "$1 has no $place: $(ls "$1/checkpoints" 2>&1)"
    for file in model.safetensors optimizer.safetensors; do
        cmp -- "$(reference "$2" "${3:-1}")/$place/$file" "$1/$place/$file" || bad "$1 differs from an undisturbed run in $file"
    done
}

# reference STEPS [SEED]: the directory of an undisturbed run, made when first asked for.
reference() {
    local run=$scratch/reference-$1-${2:-1}
    (
        flock 9
        [[ -e $run ]] || undisturbed dtrain "${settings[@]}" --steps "$1" --seed "${2:-1}" --run-dir "$run" >"$run.log" 2>&1
    ) 9>"$run.lock" || bad "the undisturbed run failed: $(tail -n 3 "$run.log")"
    printf '%s' "$run"
}

# saved RUN: the run's directory has a checkpoint, whole.
saved() { compgen -G "$1/checkpoints/step-*/state.json" >/dev/null; }

# start_case NAME: in the background, in a directory of its own; its words go to a file, and its seconds to another.
start_case() {
    mkdir -p -- "$scratch/$1"
    chmod 777 "$scratch/$1"
    (
        began=$EPOCHREALTIME seconds=$scratch/$1.seconds
        trap 'awk -v a="$began" -v b="$EPOCHREALTIME" "BEGIN { printf \"%.1f\", b - a }" >"$seconds"' EXIT
        cd -- "$scratch/$1"
        set -e
        "$1"
    ) >"$scratch/$1.log" 2>&1 &
}

wanted() {
    if ((${#only[@]})); then
        [[ " ${only[*]} " == *" $1 "* ]]
    else
        [[ -z $short || ${form[$1]} == short ]]
    fi
}

# remains CLUSTER: what of a cluster there is: namespaces, files, processes.
remains() {
    { ip netns list 2>/dev/null | grep "^$1-"; } || true
    find /run/dtrain-cluster /var/lib/dtrain-cluster -maxdepth 1 -name "$1" 2>/dev/null || true
    pgrep --full --list-full "/var/lib/dtrain-cluster/$1/" || true
}

# An `up` that is killed at several moments leaves nothing.
killed_up() {
    local delay process
    for delay in 0.05 0.1 0.3 1; do
        DTRAIN_CLUSTER=killed$$ "$root/Cluster/local/$scheduler" up 2 &
        process=$!
        sleep "$delay"
        kill -TERM "$process" 2>/dev/null || true
        # Where it was quicker than the signal, it is up.
        ! wait "$process" || DTRAIN_CLUSTER=killed$$ "$root/Cluster/local/down"
        [[ -z $(remains "killed$$") ]] || bad "an up that was killed after $delay s left: $(remains "killed$$")"
    done
}

run_all() {
    local name failed=0 count=0
    declare -A process result
    prepare || return 0
    for name in "${cases[@]}"; do
        wanted "$name" && [[ ${mode[$name]} == together ]] || continue
        start_case "$name"
        process[$name]=$!
    done
    for name in "${!process[@]}"; do
        result[$name]=0
        wait "${process[$name]}" || result[$name]=$?
    done
    for name in "${cases[@]}"; do
        wanted "$name" && [[ ${mode[$name]} == alone ]] || continue
        start_case "$name"
        result[$name]=0
        wait $! || result[$name]=$?
    done
    for name in "${cases[@]}"; do
        [[ -n ${result[$name]:-} ]] || continue
        ((++count))
        if ((result[$name] == 0)); then
            printf '%-34s %7s s  good\n' "$name" "$(<"$scratch/$name.seconds")"
        else
            ((++failed))
            printf '%-34s %7s s  BAD\n' "$name" "$(<"$scratch/$name.seconds")"
            tail -n 15 -- "$scratch/$name.log" "$scratch/$name"/{log,*.log,*.o*} 2>/dev/null | sed 's/^/    /' || true
        fi
    done
    finish
    if [[ -n ${DTRAIN_CLUSTER:-} && -n $(remains "$DTRAIN_CLUSTER") ]]; then
        say "$scheduler: down left: $(remains "$DTRAIN_CLUSTER")"
        ((++failed))
    fi
    say "$scheduler: $((count - failed)) of $count cases good"
    ((failed == 0))
}
