#!/usr/bin/env bash
# Builds dtrain with the Swift runtime linked statically and installs it, so that it runs on nodes without Swift. What
# it still needs there is Open MPI, OpenBLAS and spng (Debian: openmpi-bin libopenblas0 libspng0).
#
# Usage: Scripts/install.sh [PREFIX]     installs PREFIX/bin/dtrain; PREFIX is /usr/local if writable, else ~/.local
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

if (($# > 1)) || [[ ${1:-} == -* ]]; then
    fail "usage: Scripts/install.sh [PREFIX]"
fi
if (($# == 1)); then
    [[ -n $1 ]] || fail "PREFIX is empty. hint: Scripts/install.sh ~/.local"
    prefix=$1
elif mkdir -p /usr/local/bin 2>/dev/null && [[ -w /usr/local/bin ]]; then
    prefix=/usr/local
else
    prefix=${HOME:?is not set; name the PREFIX to install under}/.local
fi
if ! mkdir -p -- "$prefix/bin" 2>/dev/null || [[ ! -w $prefix/bin ]]; then
    fail "$prefix/bin cannot be written. hint: name another PREFIX, as in Scripts/install.sh ~/.local"
fi
bin=$(cd -- "$prefix/bin" && pwd)

set_up
swift build --package-path "$root" --scratch-path "$root/.build/static" \
    -c release --static-swift-stdlib --product dtrain >&2

# Written beside the target and renamed, so that a dtrain that is running keeps its own file.
new=$(mktemp -- "$bin/.dtrain.XXXXXX")
trap 'rm -f -- "$new"' EXIT
strip -o "$new" "$root/.build/static/release/dtrain"
chmod 755 "$new"
mv -f -- "$new" "$bin/dtrain"

say "installed $bin/dtrain ($(du -h -- "$bin/dtrain" | cut -f 1))"
case ":$PATH:" in
*":$bin:"*) say "try: mpirun -np 4 --oversubscribe dtrain --steps 60" ;;
*) say "$bin is not on PATH. hint: export PATH=\"$bin:\$PATH\"" ;;
esac
