# Shared by the job scripts for Slurm, Grid Engine and PBS, which source it. It is found on PATH: Scripts/install.sh puts it
# beside dtrain.
#
#   job_arguments INDEX ARGUMENT...            sets `arguments`: what dtrain is to be given; checks them
#   job_run [--alarm SECONDS] COMMAND...       runs it, passes signals on, sets `status`; --alarm: told to save after so long
#   job_wants_more                             whether the job is to be queued again, with a line that says why; sets `lost`
#                                              where the run hung, or lost a rank or a node
#
# A script's first command is `trap early=1 USR1`: a scheduler may send the signal before this file is read.
# shellcheck shell=bash disable=SC2034

# A run that hung, or lost a rank or a node, is tried again so often in a row.
tries=${DTRAIN_TRIES:-3}
# Until so many seconds after its start mpirun may not pass a signal on, but die of it.
settle=3

# mpirun may wait for ever for its daemon on a dead node. It is ended so many seconds after its ranks on this node have.
patience=${DTRAIN_PATIENCE:-60}

# dtrain has a worker team of its own, as wide as the rank's affinity mask; the BLAS must not start a second one.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1


job_fail() {
    echo "${0##*/}: $*" >&2
    exit 64
}

# job_arguments INDEX ARGUMENT...: %a becomes the array task's number, INDEX, which is empty where there is no array.
job_arguments() {
    local index=$1 word next=0 run_dir=''
    shift
    for word in "$@"; do
        ((next)) && run_dir=$word
        next=0
        case $word in
        --run-dir) next=1 ;;
        --run-dir=*) run_dir=${word#*=} ;;
        esac
    done
    [[ -n $run_dir ]] || job_fail "no --run-dir among dtrain's arguments, so nothing could be resumed. hint: --run-dir /shared/runs/NAME"
    if [[ -n $index ]]; then
        [[ $run_dir == *%a* ]] || job_fail "the tasks of an array would share $run_dir. hint: --run-dir /shared/runs/%a"
        run_dir=${run_dir//%a/$index}
        arguments=("${@//%a/$index}")
    else
        arguments=("$@")
    fi
    command -v dtrain >/dev/null || job_fail "no dtrain on PATH. hint: set PATH before the job is submitted, or in this script"
    # Beside the run's directory, so that it is the same for a job that goes on under another number.
    counter=${run_dir%/}.tries
}

# Tells the run to save. All signals become SIGUSR1, which mpirun passes on; upon others it ends the ranks a second later.
job_tell() {
    [[ -n $job ]] || return 0
    if ((SECONDS - started >= settle)); then
        kill -USR1 "$job" 2>/dev/null || true
    else
        { sleep "$settle" && kill -USR1 "$job"; } >/dev/null 2>&1 &
    fi
}

# job_watch PROCESS: ends with status 3 where it had to end the launcher, which had ranks on this node, and has none any more.
job_watch() {
    local seen=0 alone=$SECONDS
    while kill -0 "$1" 2>/dev/null; do
        if pgrep --parent "$1" --exact dtrain >/dev/null; then
            seen=1 alone=$SECONDS
        elif ((seen && SECONDS - alone >= patience)); then
            trap '' TERM
            echo "$(ps -o comm= -p "$1") does not end, though its ranks on this node have: it is ended"
            kill -TERM "$1" 2>/dev/null || true
            sleep 5
            kill -KILL "$1" 2>/dev/null || true
            exit 3
        fi
        sleep 1 >/dev/null 2>&1
    done
}

job_run() {
    local alarm='' watch ended=0
    if [[ $1 == --alarm ]]; then
        # Its sleep ends with it, and neither holds the job's output open.
        {
            sleep "$2" &
            trap 'kill "$!" 2>/dev/null' TERM
            wait "$!" && kill -USR1 "$$"
        } >/dev/null 2>&1 &
        alarm=$!
        shift 2
    fi
    started=$SECONDS
    "$@" &
    job=$!
    job_watch "$job" &
    watch=$!
    ((!told)) || job_tell
    # A trapped signal ends `wait` early; then there is more to wait for.
    while :; do
        signalled=0 status=0
        wait "$job" || status=$?
        ((signalled && status > 128)) || break
    done
    job=
    kill "$watch" 2>/dev/null || true
    wait "$watch" || ended=$?
    ((ended != 3)) || status=70
    [[ -z $alarm ]] || kill "$alarm" 2>/dev/null || true
}

job_wants_more() {
    local failed=0
    # 138, 140, 244: the signal came before the ranks, or mpirun, could take it. What was saved before is untouched.
    if ((told)) && [[ $status =~ ^(138|140|244)$ ]]; then
        echo "dtrain was told to stop before it had begun"
        status=75
    fi
    # 137, 143: a rank was killed, or srun ended those that outlived another.
    if [[ $status =~ ^(70|137|143)$ ]]; then
        # A file that somebody else may have put there counts for nothing, and is not written through.
        [[ ! -O $counter || -L $counter ]] || failed=$(<"$counter")
        [[ $failed =~ ^[1-9][0-9]{0,5}$ ]] || failed=0
        rm -f -- "$counter"
        if ((requeue && failed < tries)) && (set -o noclobber && printf '%d\n' "$((failed + 1))" >"$counter"); then
            lost=1
            echo "dtrain hung, or lost a rank or a node ($status); trying again ($((failed + 1)) of $tries)"
            return 0
        fi
        echo "dtrain hung, or lost a rank or a node ($status), and is not tried again"
    fi
    rm -f -- "$counter"
    ((status == 75 && requeue)) || return 1
    echo "dtrain saved and stopped, and goes on"
}

told=0 requeue=1 signalled=0 job='' started=$SECONDS status=0 lost=0 arguments=() counter=''
# SIGUSR1: the time limit is near. The others mean deleted, cancelled or preempted, and what comes next is not the script's affair.
trap 'told=1 signalled=1; job_tell' USR1
trap 'told=1 signalled=1 requeue=0; job_tell' TERM USR2
((!${early:-0})) || told=1
