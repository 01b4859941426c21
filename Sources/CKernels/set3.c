// The kernels for x86-64-v3.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#endif
#define SET 3
#include "rows.h"
#include "gradient.h"
#include "winograd.h"
#include "passes.h"
#include "exact.h"
#include "winners.h"
#if defined(__x86_64__)
#pragma clang attribute pop
#endif
