#!/usr/bin/env bash
# All Swift sources are as `.swift-format` has them. `swift format --in-place --parallel --recursive Sources Tests Package.swift` mends what is not.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"
cd -- "$root"

if ! swift format --version >/dev/null 2>&1; then
    say "skipped: this toolchain has no swift format"
    exit 0
fi
swift format lint --strict --parallel --recursive Sources Tests Package.swift ||
    fail "the lines above are not as .swift-format has them. hint: swift format --in-place --parallel --recursive Sources Tests Package.swift"
