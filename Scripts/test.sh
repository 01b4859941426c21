#!/usr/bin/env bash
# Sets the machine up, then runs all tests: Swift's (release build, mpirun tests included), those of numbers and exactness
# once more with the kernels that OpenBLAS has for other processors, then the shell scripts in Scripts/tests. Exits with 0
# only if all pass.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"

# For Cluster/local, which Scripts/tests/cluster.sh tries.
requirements+=('command -v tc | iproute2')
set_up
swift build -c release --build-tests
status=0
core_log=$(mktemp)
trap 'rm -f -- "$core_log"' EXIT
swift test -c release --skip-build --disable-xctest || status=$?

# OpenBLAS takes other kernels on other processors, which round in other ways. Each runs here that this processor has the
# instructions for; dtrain says which it lacks, and where OpenBLAS takes another than it was told.
core_types=(Prescott Sandybridge Haswell Zen SkylakeX Cooperlake)
# What rounds by the BLAS: fully connected layers, their networks and exchanges; and runs that must have the same bits.
core_suites='DenseTests|NetworksTests|SplitExchangeTests|AllreduceExchangeTests|CoreTypeTests|ExactResumeTests'
for core in "${core_types[@]}"; do
    remark=$(OPENBLAS_CORETYPE=$core .build/release/dtrain inspect /dev/null 2>&1 | grep OPENBLAS_CORETYPE || true)
    if [[ -n $remark ]]; then
        say "OpenBLAS kernels for $core: not run: $remark"
    elif OPENBLAS_CORETYPE=$core swift test -c release --skip-build --disable-xctest --filter "$core_suites" >"$core_log" 2>&1
    then
        say "OpenBLAS kernels for $core: passed: $(tail -n 1 "$core_log")"
    else
        cat -- "$core_log"
        say "OpenBLAS kernels for $core: FAILED"
        status=1
    fi
done

for script in Scripts/tests/*.sh; do
    if bash "$script"; then
        say "$script: passed"
    else
        say "$script: FAILED"
        status=1
    fi
done
if ((status == 0)); then
    say "all tests passed"
else
    say "tests FAILED"
fi
exit "$status"
