#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine with a Swift toolchain ready to build and run dtrain: the system packages, the
# toolchain's version, the processor. Run it, or source it (train.sh, test.sh and install.sh do) and call `set_up`.
# It changes nothing where nothing is missing.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

# The package's root, wherever the caller stands; the scripts that source this use it.
# shellcheck disable=SC2034
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# What is needed, each as "test command | Debian package". The tests ask for the thing itself, so an MPI or BLAS that
# came another way (a cluster's modules, Spack) counts.
requirements=(
    'command -v git                     | git'
    'command -v c++                     | g++'
    'command -v pkg-config              | pkg-config'
    'command -v mpirun                  | openmpi-bin'
    'pkg-config --exists ompi-c         | libopenmpi-dev'
    'pkg-config --exists openblas       | libopenblas-dev'
    'pkg-config --exists spng           | libspng-dev'
    'test -e /etc/ssl/certs/ca-certificates.crt -o -e /etc/pki/tls/certs/ca-bundle.crt | ca-certificates'
)

# Prints the packages whose test fails, one a line.
missing_packages() {
    local requirement
    for requirement in "${requirements[@]}"; do
        if ! eval "${requirement%|*}" >/dev/null 2>&1; then
            tr -d ' ' <<<"${requirement##*|}"
        fi
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]})) || return 0

    say "missing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        fail "this system has no apt-get. hint: install what matches these Debian packages, then run again: ${missing[*]}"
    fi
    local privileged=()
    if ((EUID != 0)); then
        if ! { command -v sudo && sudo -n true; } >/dev/null 2>&1; then
            fail "installing them needs root. hint: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
        fi
        privileged=(sudo -n)
    fi
    local apt=("${privileged[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    say "running: apt-get update"
    "${apt[@]}" update >&2 || fail "apt-get update failed. hint: its own message stands above"
    say "running: apt-get install -y --no-install-recommends ${missing[*]}"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 ||
        fail "apt-get install failed. hint: its own message stands above"

    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || fail "installed, but still not found: ${missing[*]}. hint: is another MPI, BLAS or pkg-config first on PATH?"
}

check_swift() {
    local needed=6.3 found
    command -v swift >/dev/null ||
        fail "no swift on PATH. hint: install Swift $needed or newer (https://www.swift.org/install/linux/) and add its usr/bin to PATH"
    found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p')
    [[ -n $found ]] || fail "'swift --version' does not answer. hint: run it by hand and see what it says"
    [[ $(printf '%s\n' "$needed" "$found" | sort -V | head -n 1) == "$needed" ]] ||
        fail "swift $found is too old, $needed is needed. hint: https://www.swift.org/install/linux/"
}

# The build is for x86-64-v3 (AVX2, FMA: any Intel since Haswell, any AMD since Zen) unless DTRAIN_MARCH names another.
check_processor() {
    [[ $(uname -m) == x86_64 && -z ${DTRAIN_MARCH:-} ]] || return 0
    local flags flag
    flags=" $(sed -n 's/^flags[[:space:]]*: //p' /proc/cpuinfo | head -n 1) "
    for flag in avx2 bmi1 bmi2 f16c fma abm movbe; do
        [[ $flags == *" $flag "* ]] ||
            fail "this processor lacks x86-64-v3 (no $flag). hint: export DTRAIN_MARCH=x86-64-v2, slower, and run again"
    done
}

set_up() {
    install_packages
    check_swift
    check_processor
}

# run_ranks N PROGRAM [ARGUMENT...]: PROGRAM on N ranks of this machine, however many cores it has.
run_ranks() {
    local ranks=$1
    shift
    # Open MPI refuses to start as root unless told twice; in a container root is all there is.
    if ((EUID == 0)); then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    # Unbound, so that dtrain divides the cores among the ranks by itself.
    mpirun -np "$ranks" --oversubscribe --bind-to none "$@"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    set_up
    say "ready: $(swift --version 2>/dev/null | sed -n 's/.*\(Swift version [0-9.]*\).*/\1/p'), $(mpirun --version | head -n 1)"
fi
