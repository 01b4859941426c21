#!/usr/bin/env bash
# A steady step allocates next to nothing: what hands work to the threads costs a few words each time, and nothing grows
# with the network or the batch. Counts the calls of malloc and its kin in two runs of the step benchmark that differ in
# the number of steps only. The measured step is the network's forward, backward and update.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

dtrain=$root/.build/release/dtrain
compiler=$(command -v clang || command -v cc || true)
if [[ -z $compiler ]]; then
    say "allocations: skipped, no C compiler for the counter"
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

cat >"$scratch/count.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static _Atomic unsigned long count;
void *malloc(size_t n) { count++; return __libc_malloc(n); }
void *calloc(size_t m, size_t n) { count++; return __libc_calloc(m, n); }
void *realloc(void *p, size_t n) { count++; return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { count++; return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { count++; *p = __libc_memalign(a, n); return *p ? 0 : 12; }
/* dtrain ends by _exit, which runs no destructors. */
void _exit(int code) {
    unsigned long counted = count;
    FILE *file = fopen(getenv("ALLOCATION_REPORT"), "w");
    if (file) { fprintf(file, "%lu\n", counted); fclose(file); }
    syscall(SYS_exit_group, code);
    __builtin_unreachable();
}
END
"$compiler" -O1 -shared -fPIC -o "$scratch/count.so" "$scratch/count.c" -ldl

count() {
    ALLOCATION_REPORT=$scratch/report LD_PRELOAD=$scratch/count.so \
        "$dtrain" bench step --preset shallow --batch-size 8 --threads 2 --repeats "$1" --json >"$scratch/out"
    cat -- "$scratch/report"
}
short=$(count 4)
long=$(count 104)
extra=$((long - short))
say "allocations: $short with 4 steps, $long with 104: $extra more"
((extra <= 1200)) || fail "a steady step allocates: $extra allocations in 100 steps"
