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

# count PRESET STEPS: the calls of a run of so many measured steps.
count() {
    ALLOCATION_REPORT=$scratch/report LD_PRELOAD=$scratch/count.so \
        "$dtrain" bench step --preset "$1" --batch-size 8 --threads 2 --repeats "$2" --json >"$scratch/out"
    cat -- "$scratch/report"
}

# Allocations that a step of each preset may make: a few for each hand-over of work to the threads, of which the layers of a
# network of crops take dozens.
# The limits are a fifth more than was seen: 10, 28 and 202.
declare -A limits=([shallow]=12 [deepprior]=34 [dtrain-hand]=242)
steps=50
failed=()
for preset in shallow deepprior dtrain-hand; do
    short=$(count "$preset" 4)
    long=$(count "$preset" $((4 + steps)))
    extra=$((long - short))
    limit=${limits[$preset]}
    say "allocations, $preset: $short with 4 steps, $long with $((4 + steps)): $((extra / steps)) a step of $limit allowed"
    ((extra <= limit * steps)) || failed+=("$preset")
done
((${#failed[@]} == 0)) || fail "a steady step allocates: ${failed[*]}"
