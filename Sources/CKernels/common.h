#pragma once
#include "CKernels.h"
#include <stddef.h>

typedef float float8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float float16 __attribute__((ext_vector_type(16), aligned(4)));

#define INLINE static inline __attribute__((always_inline))
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define NAMED(name) JOIN(name, SET)

// Hides a pointer's origin from the compiler, which would else keep one pointer a position and run out of registers.
#define OPAQUE(pointer) __asm__ volatile("" : "+r"(pointer))
#define UNROLL _Pragma("clang loop unroll(full)")
#define MANY(DEFINE) DEFINE(1) DEFINE(2) DEFINE(3) DEFINE(4) DEFINE(5) DEFINE(6)
#define MORE(DEFINE) MANY(DEFINE) DEFINE(7) DEFINE(8) DEFINE(9) DEFINE(10) DEFINE(11) DEFINE(12)
#define NAMES(NAME) NAME##1, NAME##2, NAME##3, NAME##4, NAME##5, NAME##6
#define MORE_NAMES(NAME) NAMES(NAME), NAME##7, NAME##8, NAME##9, NAME##10, NAME##11, NAME##12
