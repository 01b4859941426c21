#!/usr/bin/env bash
# Sets the machine up, then runs all tests: Swift's (release build, mpirun tests included), then the shell scripts in
# Scripts/tests. Exits with 0 only if all pass.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"

# For Cluster/local, which Scripts/tests/cluster.sh tries.
requirements+=('command -v tc | iproute2')
set_up
swift build -c release --build-tests
status=0
swift test -c release --skip-build --disable-xctest || status=$?

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
