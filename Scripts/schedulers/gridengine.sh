# Cases of Cluster/sge/train.sge on a real Grid Engine. See cases.sh.
# shellcheck shell=bash disable=SC2034,SC2154,SC2015
script=$root/Cluster/sge/train.sge

user=dtrain$$

prepare() {
    can_make_nodes gridengine || return 1
    if ! { command -v sge_qmaster && command -v sge_execd && command -v qconf; } >/dev/null &&
        ! apt-get --simulate install gridengine-master gridengine-exec gridengine-client >/dev/null 2>&1; then
        say "gridengine: skipped, its packages (gridengine-master, -exec, -client) cannot be had here"
        return 1
    fi
    # A cluster of its own, whatever else is up.
    export DTRAIN_CLUSTER=gridengine$$
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    trap finish EXIT
    PATH=$root/Cluster:$build:$PATH
    "$root/Cluster/local/gridengine" up 2 >&2 || fail "gridengine: its cluster does not come up. hint: the message above"
}
finish() {
    trap - EXIT
    "$root/Cluster/local/down" || true
    ! id "$user" >/dev/null 2>&1 || userdel "$user"
    rm -rf -- "$scratch"
}

undisturbed() { "$root/Cluster/local/run" "$@"; }
on_cluster() { "$root/Cluster/local/gridengine" run "$@"; }
as_root=OMPI_ALLOW_RUN_AS_ROOT=1,OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# submit OPTION... -- ARGUMENT...: the job's number. Sizes and times (an alarm after 8 s); the script is the shipped one.
submit() {
    local options=() number
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    number=$(on_cluster qsub -terse -v "$as_root" -pe mpi 2 "${options[@]}" "$script" "${settings[@]}" "$@")
    printf '%s' "${number%%.*}"
}
stints=(-l h_rt=00:01:00 -v DTRAIN_MARGIN=52)
gone() { ! on_cluster qstat -j "$1"; }
# exit_code JOB: as the accounting has it.
exit_code() { on_cluster qacct -j "$1" 2>/dev/null | awk '$1 == "exit_status" { print $2; exit }'; }
# ends JOB SECONDS EXITCODE
ends() {
    await "$2" "the end of job $1" gone "$1"
    await 20 "the accounting of job $1" on_cluster qacct -j "$1"
    [[ $(exit_code "$1") == "$3" ]] || bad "job $1 ended with $(exit_code "$1"), not $3"
}
# successor LOG: the number of the job that goes on for the one whose log it is.
successor() { sed -nE 's/^Your job(-array)? ([0-9]+).*/\2/p' "$1" | head -n 1; }
succeeded() { [[ -n $(successor "$1") ]]; }

add_case gridengine_up_is_killed short together
gridengine_up_is_killed() { killed_up; }

add_case gridengine_trains short together
gridengine_trains() {
    local job
    job=$(submit -- --steps 12 --run-dir run)
    ends "$job" 60 0
    same_bits run 12
}

# Three stints by the script's alarm; each is a new job with the options of the first.
add_case gridengine_goes_on short together
gridengine_goes_on() {
    local job count=1
    job=$(submit "${stints[@]}" -v DTRAIN_FAULT=slow -N stint -- --steps 18 --run-dir run)
    while :; do
        ends "$job" 90 0
        succeeded "stint.o$job" || break
        job=$(successor "stint.o$job")
        ((++count))
    done
    ((count >= 3)) || bad "$count stints, not 3"
    same_bits run 18
}

# An array whose tasks go on under other numbers; without %a it is refused.
add_case gridengine_array long together
gridengine_array() {
    local job refused task
    job=$(submit "${stints[@]}" -v DTRAIN_FAULT=slow -t 1-2 -- --steps 10 --run-dir runs/%a --seed %a)
    refused=$(submit -t 1 -- --steps 7 --run-dir run)
    await 90 "the array" gone "$job"
    for task in 1 2; do
        succeeded "dtrain.o$job.$task" || bad "task $task has no successor"
        await 90 "the successor of task $task" gone "$(successor "dtrain.o$job.$task")"
        same_bits "runs/$task" 10 "$task"
    done
    ends "$refused" 30 64
    has "dtrain.o$refused.1" 'runs/%a'
}

# qdel: saved, and no job goes on by itself.
add_case gridengine_deleted short together
gridengine_deleted() {
    local job
    job=$(submit -v DTRAIN_FAULT=slow -- --steps 12 --run-dir run)
    await 60 "step 3" reached "dtrain.o$job" 3
    on_cluster qdel "$job"
    await 20 "a checkpoint" saved run
    await 90 "the end of job $job" gone "$job"
    ! succeeded "dtrain.o$job" || bad "a deleted job goes on"
    job=$(submit -- --steps 12 --run-dir run)
    ends "$job" 60 0
    same_bits run 12
}

# A run that hangs each time: tried again once, then given up.
add_case gridengine_hangs short together
gridengine_hangs() {
    local job
    job=$(submit -v DTRAIN_FAULT=stall:step=3 -v DTRAIN_TRIES=1 -v DTRAIN_RETRY_AFTER=0 -- --steps 12 --stall-timeout 2 --run-dir run)
    ends "$job" 90 0
    succeeded "dtrain.o$job" || bad "it was not tried again"
    job=$(successor "dtrain.o$job")
    ends "$job" 90 70
}

# A soft limit would end ranks on other nodes unsaved: refused. So are no dtrain, no run directory, too little time.
add_case gridengine_wrongly_submitted long together
gridengine_wrongly_submitted() {
    local job
    job=$(submit -l s_rt=00:01:00 -- --steps 2 --run-dir run)
    ends "$job" 30 64
    has "dtrain.o$job" 's_rt'
    job=$(PATH=$root/Cluster:/usr/sbin:/usr/bin:/sbin:/bin submit -- --steps 2 --run-dir run)
    ends "$job" 30 64
    has "dtrain.o$job" 'no dtrain on PATH'
    job=$(submit -- --steps 2)
    ends "$job" 30 64
    has "dtrain.o$job" 'no --run-dir'
    job=$(submit -l h_rt=00:01:00 -- --steps 2 --run-dir run)
    ends "$job" 30 64
    has "dtrain.o$job" 'DTRAIN_MARGIN'
}

# Options of the command line come along: name, log, queue, account, priority, environment with commas.
add_case gridengine_options_come_along long together
gridengine_options_come_along() {
    local job text
    mkdir logs
    job=$(submit "${stints[@]}" -v DTRAIN_FAULT=slow -N named -A account -q all.q -p -5 -o "$PWD/logs" -v 'OTHER=a' -- --steps 9 --run-dir run)
    await 60 "a successor" succeeded "logs/named.o$job"
    job=$(successor "logs/named.o$job")
    text=$(on_cluster qstat -j "$job")
    for word in 'account' 'all.q' 'OTHER=a' "$PWD/logs" 'h_rt=60' 'mpi range: 2' 'DTRAIN_MARGIN=52'; do
        [[ $text == *"$word"* ]] || bad "the successor has no $word: $text"
    done
    ends "$job" 60 0
    same_bits run 9
}

# As a user who is not root, and has a shell to log in to: Grid Engine starts mpirun's daemons in it.
add_case gridengine_not_root long together
gridengine_not_root() {
    local job
    useradd --home-dir "$PWD" --no-create-home --shell /bin/sh "$user"
    job=$(on_cluster setpriv --reuid "$user" --regid "$user" --clear-groups env HOME="$PWD" USER="$user" LOGNAME="$user" \
        qsub -terse -pe mpi 2 "${stints[@]}" -v DTRAIN_FAULT=slow "$script" "${settings[@]}" --steps 9 --run-dir run)
    ends "$job" 60 0
    succeeded "dtrain.o$job" || bad "no successor"
    ends "$(successor "dtrain.o$job")" 60 0
    same_bits run 9
}

# The exit codes of dtrain as Grid Engine shows them: the table of Cluster/README.md.
add_case gridengine_exit_codes long together
gridengine_exit_codes() {
    local job
    job=$(submit -- --steps 2 --data nowhere --run-dir run-1)
    ends "$job" 60 1
    job=$(submit -- --steps none --run-dir run-64)
    ends "$job" 60 64
    job=$(submit -v DTRAIN_TRIES=0 -v DTRAIN_FAULT=stall:step=2 -- --steps 9 --stall-timeout 2 --run-dir run-70)
    ends "$job" 60 70
    job=$(submit -v DTRAIN_TRIES=0 -v DTRAIN_FAULT=slow -- --steps 30 --run-dir run-137)
    await 60 "step 2" reached "dtrain.o$job" 2
    pgrep --full "^[^ ]*dtrain train .*--run-dir run-137" | head -n 1 | xargs kill -KILL
    ends "$job" 60 137
}

# A node that dies, but not that of the script: a new job waits, and goes on when there is a node.
add_case gridengine_node_dies long alone
gridengine_node_dies() {
    local job log
    job=$(submit -masterq all.q@node1 -v DTRAIN_FAULT=slow -v DTRAIN_PATIENCE=5 -v DTRAIN_RETRY_AFTER=40 -- --steps 12 --checkpoint-every 2 --stall-timeout 4 --run-dir run)
    log=dtrain.o$job
    await 60 "step 5" reached "$log" 5
    "$root/Cluster/local/gridengine" lose node2
    await 90 "a successor" succeeded "$log"
    "$root/Cluster/local/gridengine" again node2
    ends "$(successor "$log")" 180 0
    same_bits run 12
}
