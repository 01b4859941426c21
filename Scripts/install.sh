#!/usr/bin/env bash
# Builds dtrain, which has the Swift runtime in it, and installs it, so that it runs on nodes without Swift. What it
# still needs there is Open MPI, OpenBLAS and spng (Debian: openmpi-bin libopenblas0 libspng0); a bundle has the last two in it.
#
# Usage: Scripts/install.sh [PREFIX]              installs PREFIX/bin/dtrain; PREFIX is /usr/local if writable, else ~/.local
#        Scripts/install.sh --bundle FILE.tar.gz  packs dtrain, its libraries and the job scripts; unpacked anywhere, it needs
#                                                 Open MPI 4 or later (openmpi-bin) and glibc 2.35 or newer, nothing else
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

usage="usage: Scripts/install.sh [PREFIX], or Scripts/install.sh --bundle FILE.tar.gz"
built=$root/.build/release/dtrain
scratch=

build() {
    set_up
    swift build --package-path "$root" -c release --product dtrain >&2
}

# The libraries that dtrain needs, their paths one a line, but for those of libc, the C++ runtime and Open MPI: an Open MPI has
# those itself, and two of one kind in a process do not go together.
own_libraries() {
    local binary=$1 mpi
    mpi=$(ldd "$binary" | awk '$1 ~ /^libmpi\./ { print $3 }')
    [[ -n $mpi ]] || fail "$binary is not linked with Open MPI's libmpi. hint: pkg-config --libs ompi-c"
    awk '$2 == "=>" { print $3 }' <(ldd "$binary") | grep -vxFf <(awk '$2 == "=>" { print $3 }' <(ldd "$mpi")) |
        grep -vE '/(libmpi|libc|libm|libstdc\+\+|libgcc_s)\.so' || true
}

bundle() {
    local file=$1 place library
    [[ $file == *.tar.gz ]] || fail "'$file' does not end in .tar.gz. hint: $usage"
    [[ -d $(dirname -- "$file") && -w $(dirname -- "$file") ]] || fail "$(dirname -- "$file") cannot be written. hint: name another FILE"
    build
    scratch=$(mktemp -d)
    trap 'rm -rf -- "$scratch"' EXIT
    place=$scratch/dtrain
    mkdir -p -- "$place"/{bin,lib,Cluster}
    strip -o "$place/bin/dtrain" "$built"
    cp -- "$root/Cluster/dtrain-job.sh" "$place/bin/"
    while read -r library; do
        cp --dereference -- "$library" "$place/lib/${library##*/}"
        strip --strip-unneeded "$place/lib/${library##*/}"
    done < <(own_libraries "$built")
    cp -R -- "$root"/Cluster/{README.md,hostfile.example,keep-going,slurm,sge,pbs} "$place/Cluster/"
    chmod -R a+rX,go-w "$place"
    tar --create --directory "$scratch" --owner 0 --group 0 --numeric-owner --sort name dtrain | gzip -9 >"$scratch/bundle"
    mv -f -- "$scratch/bundle" "$file"
    say "packed $file ($(du -h --apparent-size -- "$file" | cut -f 1)): dtrain with $(cd -- "$place/lib" && echo *)"
    say "on each node: apt-get install openmpi-bin; tar -xzf ${file##*/} -C /opt; export PATH=/opt/dtrain/bin:\$PATH"
}

if [[ ${1:-} == --bundle ]]; then
    (($# == 2)) || fail "$usage"
    bundle "$2"
    exit 0
elif (($# > 1)) || [[ ${1:-} == -* ]]; then
    fail "$usage"
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

build

# Written beside the target and renamed, so that a dtrain that is running keeps its own file.
new=$(mktemp -- "$bin/.dtrain.XXXXXX")
trap 'rm -f -- "$new"' EXIT
strip -o "$new" "$built"
chmod 755 "$new"
mv -f -- "$new" "$bin/dtrain"
# The job scripts of Cluster/ find it beside dtrain.
cp -- "$root/Cluster/dtrain-job.sh" "$new"
chmod 644 "$new"
mv -f -- "$new" "$bin/dtrain-job.sh"

say "installed $bin/dtrain ($(du -h -- "$bin/dtrain" | cut -f 1))"
case ":$PATH:" in
*":$bin:"*) say "try: mpirun -np 4 --oversubscribe dtrain --steps 60" ;;
*) say "$bin is not on PATH. hint: export PATH=\"$bin:\$PATH\"" ;;
esac
