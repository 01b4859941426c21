# Cases of Cluster/pbs/train.pbs. PBS has no package here, so qsub, qrerun and qstat are stand-ins: a job is the script, run with
# the variables that PBS sets. See cases.sh.
# shellcheck shell=bash disable=SC2034,SC2154,SC2015
script=$root/Cluster/pbs/train.pbs

prepare() {
    scratch=$(mktemp -d)
    trap finish EXIT
    mkdir "$scratch/bin"
    ((EUID != 0)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    # Each notes how it was called; a job's files are $PBS_SPOOL/ID.*. ARGUMENTS alone is taken from the environment, by its name.
    cat >"$scratch/bin/qsub" <<'END'
#!/bin/sh
echo "qsub $*: $ARGUMENTS" >>"$PBS_SPOOL/called"
END
    cat >"$scratch/bin/qrerun" <<'END'
#!/bin/sh
echo "qrerun $*" >>"$PBS_SPOOL/called"
exit "${QRERUN_STATUS:-0}"
END
    cat >"$scratch/bin/qstat" <<'END'
#!/bin/sh
echo "    Resource_List.walltime = ${PBS_WALLTIME:-00:01:00}"
END
    chmod +x "$scratch"/bin/*
    PATH=$root/Cluster:$build:$scratch/bin:$PATH
}
finish() {
    trap - EXIT
    rm -rf -- "$scratch"
}

undisturbed() { "$@"; }
# stint LOG ARGUMENT...: a stint of the job: the script, from its start to its end; sets `status`.
stint() {
    local log=$1
    shift
    status=0
    hostname >nodes
    PBS_SPOOL=$PWD PBS_O_WORKDIR=$PWD PBS_JOBID=7.server PBS_NODEFILE=$PWD/nodes TMPDIR=$PWD ARGUMENTS="${settings[*]} $*" \
        bash "$script" >"$log" 2>&1 || status=$?
}
called() { has called "$1" || bad "not called: $1: $(cat called 2>/dev/null)"; }

add_case pbs_goes_on short together
pbs_goes_on() {
    local number
    export DTRAIN_FAULT=slow DTRAIN_MARGIN=56
    for number in 1 2 3 4; do
        stint "$number.log" --steps 11 --run-dir run
        ((status == 75)) || break
        called 'qrerun 7.server'
    done
    ((status == 0 && number >= 3)) || bad "exit code $status after $number stints"
    same_bits run 11
}

# Where qrerun is for operators only, a new job takes over, with arguments, task and walltime of this one.
add_case pbs_goes_on_without_qrerun short together
pbs_goes_on_without_qrerun() {
    export DTRAIN_FAULT=slow DTRAIN_MARGIN=57 QRERUN_STATUS=1 PBS_ARRAY_INDEX=3 PBS_WALLTIME=00:01:01
    stint log --steps 30 --run-dir run-%a --seed %a
    ((status == 75)) || bad "exit code $status"
    saved run-3 || bad "no checkpoint in run-3"
    called 'qsub -v ARGUMENTS -l walltime=61 Cluster/pbs/train.pbs:'
    called '--run-dir run-3 --seed 3'
}

# qdel sends SIGTERM: saved, not queued again.
add_case pbs_deleted short together
pbs_deleted() {
    export DTRAIN_FAULT=slow
    export DTRAIN_MARGIN=1
    stint log --steps 12 --run-dir run &
    await 60 "step 2" reached log 2
    pkill -TERM -f --parent $! "$script" || bad "no script to tell"
    wait $! || true
    await 20 "a checkpoint" saved run
    [[ ! -e called ]] || bad "queued again: $(<called)"
}

# A run that hangs is tried again once; wrong submissions are refused.
add_case pbs_hangs short together
pbs_hangs() {
    export DTRAIN_FAULT=stall:step=3 DTRAIN_TRIES=1 DTRAIN_MARGIN=1
    stint first.log --steps 12 --stall-timeout 2 --run-dir run
    [[ $status == 70 && $(wc -l <called) == 1 ]] || bad "exit code $status: $(cat called)"
    stint second.log --steps 12 --stall-timeout 2 --run-dir run
    [[ $status == 70 && $(wc -l <called) == 1 ]] || bad "exit code $status: $(cat called)"
    stint refused.log --steps 12
    ((status == 64)) && has refused.log 'no --run-dir' || bad "exit code $status"
    PBS_WALLTIME=00:00:01 stint refused.log --steps 12 --run-dir run
    ((status == 64)) && has refused.log 'DTRAIN_MARGIN' || bad "exit code $status"
}
