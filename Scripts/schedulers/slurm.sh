# Cases of Cluster/slurm/train.sbatch on a real Slurm. See cases.sh.
# shellcheck shell=bash disable=SC2034,SC2154,SC2015
script=$root/Cluster/slurm/train.sbatch

prepare() {
    can_make_nodes slurm || return 1
    if ! command -v slurmctld >/dev/null && ! apt-get --simulate install slurm-wlm munge >/dev/null 2>&1; then
        say "slurm: skipped, its packages (slurm-wlm, munge) cannot be had here"
        return 1
    fi
    # A cluster of its own, whatever else is up.
    export DTRAIN_CLUSTER=slurm$$
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    trap finish EXIT
    PATH=$root/Cluster:$build:$PATH
    "$root/Cluster/local/slurm" up 2 >&2 || fail "slurm: its cluster does not come up. hint: the message above"
}
finish() {
    trap - EXIT
    "$root/Cluster/local/down" || true
    rm -rf -- "$scratch"
}

undisturbed() { "$root/Cluster/local/run" "$@"; }
on_cluster() { "$root/Cluster/local/slurm" run "$@"; }
# Sizes and times; the script is the shipped one.
sizes=(--cpus-per-task=1 --time=00:05:00 --signal=B:USR1@10)
# submit OPTION... -- ARGUMENT...: the job's number; dtrain's arguments come after --.
submit() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    on_cluster sbatch --parsable "${sizes[@]}" "${options[@]}" "$script" "${settings[@]}" "$@"
}
# field JOB NAME: such as JobState, Restarts, ExitCode.
field() { on_cluster scontrol show job --oneliner "$1" | grep -oE "(^| )$2=[^ ]*" | head -n 1 | cut -d = -f 2; }
in_state() { [[ $(field "$1" JobState) =~ ^($2)$ ]]; }
restarted() { (($(field "$1" Restarts) >= $2)); }
# ends JOB SECONDS STATE EXITCODE
ends() {
    await "$2" "the end of job $1" in_state "$1" 'COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL'
    [[ $(field "$1" JobState) == "$3" && $(field "$1" ExitCode) == "${4:-0:0}" ]] ||
        bad "job $1 ended $(field "$1" JobState), $(field "$1" ExitCode), not $3, ${4:-0:0}"
}
tell() { on_cluster scancel --batch --signal=USR1 "$1"; }

add_case slurm_up_is_killed short together
slurm_up_is_killed() { killed_up; }

add_case slurm_trains short together
slurm_trains() {
    local job
    job=$(submit -- --steps 12 --run-dir run)
    ends "$job" 60 COMPLETED
    same_bits run 12
}

# Each task has its run directory, its seed and its log; without %a the job is refused.
add_case slurm_array_by_srun short together
slurm_array_by_srun() {
    local job refused seed
    job=$(DTRAIN_LAUNCHER=srun submit --array=1-2 '--output=log-%A_%a.log' -- --steps 12 --run-dir runs/%a --seed %a)
    refused=$(submit --array=1 -- --steps 12 --run-dir run)
    for seed in 1 2; do
        await 90 "task $seed" in_state "${job}_$seed" 'COMPLETED|FAILED'
        [[ -e log-${job}_$seed.log ]] || bad "no log of task $seed"
        same_bits "runs/$seed" 12 "$seed"
    done
    ends "$refused" 30 FAILED 64:0
    has "dtrain-$((refused)).log" 'runs/%a'
}

# The signal of the time limit, twice: two restarts, and the bits of a run that nothing disturbed.
add_case slurm_goes_on short together
slurm_goes_on() {
    local job log
    export DTRAIN_FAULT=slow
    job=$(submit -- --steps 12 --run-dir run)
    log=dtrain-$job.log
    await 60 "step 3" reached "$log" 3
    tell "$job"
    await 60 "the first restart" restarted "$job" 1
    await 60 "step 8" reached "$log" 8
    tell "$job"
    ends "$job" 90 COMPLETED
    [[ $(field "$job" Restarts) == 2 ]] || bad "$(field "$job" Restarts) restarts, not 2"
    same_bits run 12
}

# SIGUSR1 when the job has only just begun: it goes on all the same.
add_case slurm_signal_at_the_start short together
slurm_signal_at_the_start() {
    local delay jobs=() job
    for delay in 0 0.1 0.3; do
        job=$(submit -- --steps 12 --run-dir "run-$delay")
        await 30 "the start of job $job" in_state "$job" RUNNING
        sleep "$delay"
        tell "$job"
        jobs+=("$job")
    done
    for job in "${jobs[@]}"; do ends "$job" 90 COMPLETED; done
    for delay in 0 0.1 0.3; do same_bits "run-$delay" 12; done
}

# A run that hangs each time: tried again once, then given up.
add_case slurm_hangs short together
slurm_hangs() {
    local job
    export DTRAIN_FAULT=stall:step=3 DTRAIN_TRIES=1
    job=$(submit -- --steps 12 --stall-timeout 2 --run-dir run)
    ends "$job" 120 FAILED 70:0
    [[ $(field "$job" Restarts) == 1 ]] || bad "$(field "$job" Restarts) restarts, not 1"
    [[ ! -e run.tries ]] || bad "the count of tries was left"
}

# scancel ends the job, and does not queue it again; what was done is saved, and another job goes on with it.
add_case slurm_cancelled long together
slurm_cancelled() {
    local job
    job=$(export DTRAIN_FAULT=slow && submit -- --steps 12 --run-dir run)
    await 60 "step 3" reached "dtrain-$job.log" 3
    on_cluster scancel "$job"
    await 60 "the end of job $job" in_state "$job" CANCELLED
    await 20 "a checkpoint" saved run
    job=$(submit -- --steps 12 --run-dir run)
    ends "$job" 60 COMPLETED
    has "dtrain-$job.log" 'resum' || bad "the second job did not go on"
    same_bits run 12
}

# The real thing: a limit of a minute, five times.
add_case slurm_time_limit long together
slurm_time_limit() {
    local job
    export DTRAIN_FAULT=slow
    job=$(submit --time=00:01:00 --signal=B:USR1@30 -- --steps 160 --run-dir run)
    ends "$job" 580 COMPLETED
    (($(field "$job" Restarts) >= 5)) || bad "$(field "$job" Restarts) restarts"
    same_bits run 160
}

add_case slurm_requeued_by_hand long together
slurm_requeued_by_hand() {
    local job
    export DTRAIN_FAULT=slow
    job=$(submit -- --steps 12 --run-dir run)
    await 60 "step 3" reached "dtrain-$job.log" 3
    on_cluster scontrol requeue "$job"
    await 60 "the restart" restarted "$job" 1
    ends "$job" 120 COMPLETED
    same_bits run 12
}

# As a user who is not root.
add_case slurm_not_root long together
slurm_not_root() {
    local job
    job=$(on_cluster setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$PWD" \
        sbatch --parsable "${sizes[@]}" "$script" "${settings[@]}" --steps 12 --run-dir run)
    ends "$job" 60 COMPLETED
    same_bits run 12
}

# dtrain is not on PATH; no run directory; a launcher that does not exist: one line, exit code 64.
add_case slurm_wrongly_submitted long together
slurm_wrongly_submitted() {
    local job
    job=$(PATH=$root/Cluster:/usr/sbin:/usr/bin:/sbin:/bin submit -- --steps 2 --run-dir run)
    ends "$job" 30 FAILED 64:0
    has "dtrain-$job.log" 'no dtrain on PATH'
    job=$(submit -- --steps 2)
    ends "$job" 30 FAILED 64:0
    has "dtrain-$job.log" 'no --run-dir'
    job=$(DTRAIN_LAUNCHER=other submit -- --steps 2 --run-dir run)
    ends "$job" 30 FAILED 64:0
    has "dtrain-$job.log" 'DTRAIN_LAUNCHER'
}

# What ranks really get: mpirun binds by node1's processors, where node2's daemon may use another.
add_case slurm_binding_is_told long together
slurm_binding_is_told() {
    local job launcher
    # With one processor they have the same.
    [[ $("$root/Cluster/local/run" --on node1 nproc --all) != 1 ]] || return 0
    job=$(submit -- --steps 2 --run-dir bound)
    ends "$job" 60 COMPLETED
    has "dtrain-$job.log" 'mpirun binds this rank to processor' || bad "mpirun's binding was not told"
    for launcher in unbound srun; do
        job=$(DTRAIN_LAUNCHER=$launcher submit -- --steps 2 --run-dir "$launcher")
        ends "$job" 60 COMPLETED
        ! has "dtrain-$job.log" 'binds this rank' || bad "$launcher binds"
    done
}

# The exit codes of dtrain as Slurm shows them: the table of Cluster/README.md.
add_case slurm_exit_codes long together
slurm_exit_codes() {
    local launcher job
    export DTRAIN_TRIES=0
    for launcher in mpirun srun; do
        export DTRAIN_LAUNCHER=$launcher
        job=$(submit -- --steps 2 --data nowhere --run-dir "$launcher-1")
        ends "$job" 60 FAILED 1:0
        job=$(submit -- --steps none --run-dir "$launcher-64")
        ends "$job" 60 FAILED 64:0
        job=$(DTRAIN_FAULT=stall:step=2 submit -- --steps 9 --stall-timeout 2 --run-dir "$launcher-70")
        ends "$job" 60 FAILED 70:0
        # A rank that is killed: that of mpirun, or srun, too.
        job=$(DTRAIN_FAULT=slow submit -- --steps 30 --run-dir "$launcher-137")
        await 60 "step 2" reached "dtrain-$job.log" 2
        pgrep --full "^[^ ]*dtrain train .*--run-dir $launcher-137" | head -n 1 | xargs kill -KILL
        ends "$job" 60 FAILED 137:0
        # SIGTERM to the script: saved, and not queued again.
        job=$(DTRAIN_FAULT=slow submit -- --steps 30 --run-dir "$launcher-75")
        await 60 "step 2" reached "dtrain-$job.log" 2
        on_cluster scancel --batch --signal=TERM "$job"
        ends "$job" 60 FAILED 75:0
        saved "$launcher-75" || bad "nothing was saved"
    done
}

processes() { ip netns pids "$DTRAIN_CLUSTER-$1" | xargs -r ps -o pid=,comm= -p | awk -v name="$2" '$2 == name { print $1 }'; }

# A slurmd that is killed, and comes back, harms no job.
add_case slurm_daemon_killed long alone
slurm_daemon_killed() {
    local job
    export DTRAIN_FAULT=slow
    job=$(submit -- --steps 12 --run-dir run)
    await 60 "step 3" reached "dtrain-$job.log" 3
    processes node2 slurmd | xargs kill -KILL
    sleep 3
    "$root/Cluster/local/slurm" again node2
    ends "$job" 120 COMPLETED
    same_bits run 12
}

# A node that dies: the job is queued again, and goes on when there is a node.
node_dies() {
    local job
    export DTRAIN_LAUNCHER=$1 DTRAIN_FAULT=slow
    job=$(submit -- --steps 12 --checkpoint-every 2 --stall-timeout 4 --run-dir run)
    await 60 "step 5" reached "dtrain-$job.log" 5
    "$root/Cluster/local/slurm" lose node2
    await 90 "the restart" restarted "$job" 1
    "$root/Cluster/local/slurm" again node2
    ends "$job" 180 COMPLETED
    same_bits run 12
}
add_case slurm_node_dies_under_mpirun long alone
slurm_node_dies_under_mpirun() { node_dies mpirun; }
add_case slurm_node_dies_under_srun long alone
slurm_node_dies_under_srun() { node_dies srun; }
