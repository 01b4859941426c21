#!/usr/bin/env bash
# Sets the machine up, then runs all tests: Swift's (release build, mpirun tests included), those of numbers and exactness
# once more with the kernels that OpenBLAS has for other processors, then the shell scripts in Scripts/tests. Exits with 0
# only if all pass.
#   Scripts/test.sh [WORD]   only the jobs whose name contains WORD
# Jobs run side by side: as many that compute as there are processors, at most 4 or DTRAIN_TEST_JOBS; and one more that mostly wait for what
# they started. A job that fails shows all that it wrote.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"
wanted=${1:-}

# For Cluster/local, which Scripts/tests/cluster.sh tries.
requirements+=('command -v tc | iproute2')
set_up
swift build -c release --build-tests

processors=$(nproc)
declare -A lanes=([computing]=${DTRAIN_TEST_JOBS:-$((processors < 4 ? processors : 4))})
lanes[waiting]=$((lanes[computing] + 1))
logs=$(mktemp -d)
times=$(mktemp -d)
trap 'rm -rf -- "$logs" "$times"' EXIT
status=0
declare -A names=() starts=() kinds=() running=([computing]=0 [waiting]=0)
computing=() waiting=()

# Waits for one job to end and tells how it went.
reap() {
    local process code=0 name log seconds
    wait -n -p process || code=$?
    name=${names[$process]}
    running[${kinds[$process]}]=$((running[${kinds[$process]}] - 1))
    log=$logs/${name//\//-}
    unset "names[$process]"
    # A filter that finds nothing passes.
    if grep -q 'Test run with 0 tests' "$log"; then code=1; fi
    read -r seconds <"$times/${name//\//-}" || seconds=?
    if ((code == 0)); then
        say "passed: $name, $((SECONDS - starts[$process])) s, $seconds s of processor time: $(tail -n 1 -- "$log")"
    else
        cat -- "$log"
        say "FAILED: $name, $((SECONDS - starts[$process])) s, exit code $code"
        status=1
    fi
}

# timed NAME COMMAND...: runs it, and writes down the processor time that it and all it waited for took, in whole seconds.
timed() {
    local name=$1 code=0
    shift
    "$@" || code=$?
    # In a pipe it would tell the times of the pipe's own shell.
    times >"$times/all-${name//\//-}"
    awk 'function seconds(time) { split(time, part, /[ms]/); return part[1] * 60 + part[2] }
        { sum += seconds($1) + seconds($2) } END { printf "%.0f\n", sum }' "$times/all-${name//\//-}" >"$times/${name//\//-}"
    return "$code"
}

# job KIND NAME COMMAND...: to be run by `run_jobs`, in this order among its kind, computing or waiting.
job() {
    local -n queue=$1
    [[ $2 != *"$wanted"* ]] || queue+=("${*@Q}")
}

# start KIND: the next job of this kind, if there is one and a lane for it.
start() {
    local kind=$1 words
    local -n queue=$kind
    ((${#queue[@]} && running[$kind] < lanes[$kind])) || return 1
    eval "words=(${queue[0]})"
    queue=("${queue[@]:1}")
    timed "${words[@]:1}" >"$logs/${words[1]//\//-}" 2>&1 </dev/null &
    names[$!]=${words[1]}
    starts[$!]=$SECONDS
    kinds[$!]=$kind
    running[$kind]=$((running[$kind] + 1))
}

run_jobs() {
    while :; do
        while start waiting || start computing; do :; done
        ((${#names[@]})) || return 0
        reap
    done
}

# swift_tests ARGUMENT...: what `swift test` would start; two of those would wait for each other.
tests=$(echo .build/release/*.xctest)
swift_tests() { "$tests" --testing-library swift-testing "$@"; }

# OpenBLAS takes other kernels on other processors, which round in other ways. Each runs here that this processor has the
# instructions for; dtrain says which it lacks, and where OpenBLAS takes another than it was told.
core_types=(Prescott Sandybridge Haswell Zen SkylakeX Cooperlake)
# What rounds by the BLAS: fully connected layers, their networks and exchanges; and runs that must have the same bits.
core_suites='DenseTests|NetworksTests|SplitExchangeTests|AllreduceExchangeTests|CoreTypeTests|ExactResumeTests'
# Tests of these suites that look at bytes sent, words said or damage found, not at what is computed.
no_numbers='countedBytesEqualTheFormula|whatMayChangeIsNamedWithItsFlag|theNetworkMayNotChange|noGradientThatIsNotFinite'
core_tests() {
    local remark
    remark=$(OPENBLAS_CORETYPE=$1 .build/release/dtrain inspect /dev/null 2>&1 | grep OPENBLAS_CORETYPE || true)
    if [[ -n $remark ]]; then
        echo "not run: $remark"
    else
        OPENBLAS_CORETYPE=$1 swift_tests --filter "$core_suites" --skip "$no_numbers"
    fi
}

# Suites that start dtrain and mostly wait for it, those that take longest first.
slow=(
    StopTests NodeSnapshotTests CheckpointWritingTests LimitTests RanksDifferTests StorageTests WatchdogTests StandardStreamTests
)
all=$(swift_tests --list-tests 2>/dev/null)
mapfile -t others < <(sed -n 's,^CommandLineTests\.CommandLineTests/\([A-Za-z]*\)/.*,\1,p' <<<"$all" | sort -u |
    grep -vxF "$(printf '%s\n' "${slow[@]}")")

# These make the nodes of Cluster/local, of which a machine has one set: one after the other, from the start.
node_scripts=(cluster slurm gridengine keep-going attack)
on_nodes() {
    local script code=0 start
    for script in "${node_scripts[@]}"; do
        start=$SECONDS
        if bash "Scripts/tests/$script.sh"; then
            echo "passed: $script.sh, $((SECONDS - start)) s"
        else
            echo "FAILED: $script.sh, $((SECONDS - start)) s"
            code=1
        fi
    done
    return "$code"
}

job waiting Scripts/tests/nodes on_nodes
for suite in "${slow[@]}"; do job waiting "command-line/$suite" swift_tests --filter "CommandLineTests/$suite/"; done
job computing units swift_tests --skip '^CommandLineTests\.'
# It builds: not beside the first script of the nodes, which measures a link.
job computing "kernels/${core_types[0]}" core_tests "${core_types[0]}"
job computing Scripts/tests/install.sh bash Scripts/tests/install.sh
for core in "${core_types[@]:1}"; do job computing "kernels/$core" core_tests "$core"; done
for suite in "${others[@]}"; do job computing "command-line/$suite" swift_tests --filter "CommandLineTests/$suite/"; done
for script in Scripts/tests/*.sh; do
    name=$(basename -- "$script" .sh)
    [[ " ${node_scripts[*]} install " == *" $name "* ]] || job waiting "$script" bash "$script"
done
run_jobs

# "Test run with N tests", one a job, and the tests that failed in it.
count() { cat -- "$logs"/* | awk "$1" || true; }
ran=$(count '$2 == "Test" && $3 == "run" && $4 == "with" { n += $5 } END { print n + 0 }')
failed=$(count '$1 == "✘" && $2 == "Test" && $3 != "run" && / failed after / { n++ } END { print n + 0 }')
say "$SECONDS s, ${lanes[computing]} jobs that compute and ${lanes[waiting]} that wait side by side on $processors processors"
if ((status == 0)); then
    say "all tests passed"
else
    say "tests FAILED"
fi
echo "$((ran - failed)) passed, $failed failed"
exit "$status"
