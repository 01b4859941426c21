#pragma once
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc declares the affinity calls only under _GNU_SOURCE, which Swift's importer does not set: the system calls
// themselves need no declaration. Both return a negative number on failure.
static inline long dtrain_get_affinity(int process, void *mask, size_t bytes) { return syscall(SYS_sched_getaffinity, process, bytes, mask); }
static inline long dtrain_set_affinity(const void *mask, size_t bytes) { return syscall(SYS_sched_setaffinity, 0, bytes, mask); }

// An anonymous file in memory, which is not bounded by the size of /dev/shm; declared under _GNU_SOURCE only, too.
static inline int dtrain_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u /* MFD_CLOEXEC */); }

// Reserves the pages of a part of a file in memory: a lack of memory is an error here, and would be a SIGBUS later.
static inline long dtrain_reserve(int file, long offset, long bytes) { return syscall(SYS_fallocate, file, 0, offset, bytes); }

// Sleeping on a word that processes share, and waking those who do; glibc has no wrapper. 0 = FUTEX_WAIT, 1 = FUTEX_WAKE.
static inline void dtrain_futex_wait(const void *word, unsigned int seen, long nanoseconds) {
    struct { long seconds, nanoseconds; } limit = {0, nanoseconds};
    syscall(SYS_futex, word, 0, seen, &limit, 0, 0);
}
static inline void dtrain_futex_wake(const void *word) { syscall(SYS_futex, word, 1, 0x7fffffff, 0, 0, 0); }

// The processor's hint that this is a spinning loop; Swift exposes none.
static inline void dtrain_spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Lets the calling thread treat numbers below the normal range as 0, in operands and results: arithmetic on them takes a
// slow path in the processor. Swift exposes no such control. Returns the setting before, for dtrain_restore_subnormals.
static inline unsigned long dtrain_flush_subnormals(void) {
#if defined(__x86_64__)
    unsigned int control = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(control | 0x8040);
    return control;
#elif defined(__aarch64__)
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (1ul << 24)));
    return control;
#else
    return 0;
#endif
}

static inline void dtrain_restore_subnormals(unsigned long control) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned int)control);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

// Asks for the cache line at an address ahead of its use, to be written too. Swift exposes no prefetch.
static inline void dtrain_prefetch(const void *address) { __builtin_prefetch(address, 1, 2); }

// What the compiler was told the processor has (-march), by the names of /proc/cpuinfo, each followed by a space. Swift code
// cannot ask: #if sees no target features.
static inline const char *dtrain_compiled_features(void) {
    return ""
#ifdef __AVX2__
           "avx2 "
#endif
#ifdef __FMA__
           "fma "
#endif
#ifdef __BMI2__
           "bmi2 "
#endif
#ifdef __F16C__
           "f16c "
#endif
#ifdef __AVX512F__
           "avx512f "
#endif
        ;
}

// Eight square roots in one instruction, correctly rounded: Swift's SIMD8.squareRoot() makes eight calls of sqrtf.
typedef float dtrain_float8 __attribute__((ext_vector_type(8)));
static inline dtrain_float8 dtrain_square_roots(dtrain_float8 values) { return __builtin_elementwise_sqrt(values); }
