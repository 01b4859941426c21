// The kernels for x86-64-v4; on other processors a second copy of the first set, never chosen.
#if defined(__x86_64__)
// Without the second, the compiler halves vectors of 512 bits, and spills.
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#endif
#define SET 4
#include "rows.h"
#include "gradient.h"
#include "winograd.h"
#include "passes.h"
#include "exact.h"
#include "winners.h"
#if defined(__x86_64__)
#pragma clang attribute pop
#endif

int dtrain_has_set_4(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512bw");
#else
    return 0;
#endif
}
