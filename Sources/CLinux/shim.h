#pragma once
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

// Lets the calling thread's sleeps end that much late, so that the kernel can join wake-ups: 50 us unless told. prctl is variadic,
// which Swift does not import.
static inline void dtrain_timer_slack(unsigned long nanoseconds) { prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }

// Watching sockets: events are of what is new since the last (EPOLLET). Swift's Glibc has no epoll, and ppoll is declared under
// _GNU_SOURCE only. A socket that is watched already stays so.
static inline int dtrain_watch(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline void dtrain_watch_socket(int watch, int file) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.fd = file}};
    epoll_ctl(watch, EPOLL_CTL_ADD, file, &event);
}
// How many sockets had something, 0 when none did in time.
static inline int dtrain_wait_for_sockets(int watch, long nanoseconds) {
    struct { long seconds, nanoseconds; } limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    struct { int file; short wanted, seen; } file = {watch, 1 /* POLLIN */, 0};
    if (syscall(SYS_ppoll, &file, 1ul, &limit, 0, 8ul) <= 0) return 0;
    struct epoll_event events[16];
    return epoll_wait(watch, events, 16, 0);
}

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

// Makes a page present by writing a byte of it back, which no compiler may leave out.
static inline void dtrain_touch(void *page) { *(volatile char *)page = *(volatile char *)page; }

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

// What the processor has and the kernel lets programs use, of what OpenBLAS's kernels are built for: the names of /proc/cpuinfo,
// by their numbers from 0; null after the last. The processor is asked itself (cpuid), as an emulator shows its host's /proc.
static inline const char *dtrain_processor_feature(int number, int *is_there) {
#if defined(__x86_64__)
    unsigned int a = 0, b = 0, c = 0, d = 0;
    switch (number) {
    case 0: *is_there = __builtin_cpu_supports("sse3") != 0; return "pni";
    case 1: *is_there = __builtin_cpu_supports("ssse3") != 0; return "ssse3";
    case 2: *is_there = __builtin_cpu_supports("sse4.1") != 0; return "sse4_1";
    case 3: *is_there = __builtin_cpu_supports("sse4.2") != 0; return "sse4_2";
    case 4: *is_there = __builtin_cpu_supports("avx") != 0; return "avx";
    case 5: *is_there = __builtin_cpu_supports("fma") != 0; return "fma";
    case 6: *is_there = __builtin_cpu_supports("avx2") != 0; return "avx2";
    case 7: *is_there = __builtin_cpu_supports("fma4") != 0; return "fma4";
    case 8: *is_there = __builtin_cpu_supports("avx512f") != 0; return "avx512f";
    case 9: *is_there = __builtin_cpu_supports("avx512cd") != 0; return "avx512cd";
    case 10: *is_there = __builtin_cpu_supports("avx512bw") != 0; return "avx512bw";
    case 11: *is_there = __builtin_cpu_supports("avx512dq") != 0; return "avx512dq";
    case 12: *is_there = __builtin_cpu_supports("avx512vl") != 0; return "avx512vl";
    case 13: *is_there = __builtin_cpu_supports("avx512bf16") != 0; return "avx512_bf16";
    case 14: *is_there = __get_cpuid(0x80000001, &a, &b, &c, &d) && (d >> 31 & 1); return "3dnow";
    }
#endif
    return 0;
}

// Eight square roots in one instruction, correctly rounded: Swift's SIMD8.squareRoot() makes eight calls of sqrtf.
typedef float dtrain_float8 __attribute__((ext_vector_type(8)));
static inline dtrain_float8 dtrain_square_roots(dtrain_float8 values) { return __builtin_elementwise_sqrt(values); }

// Adds eight numbers, each rounded to a multiple of 2^-34 first, to eight sums in double precision: while a sum stays below
// 2^19 nothing is lost, so that the order of additions does not matter. Adding and taking off 1.5 · 2^18 rounds (numbers below
// 2^17). Swift's conversion of eight floats to doubles makes eight calls.
typedef double dtrain_double8 __attribute__((ext_vector_type(8)));
static inline void dtrain_add_exactly(void *sums, dtrain_float8 values) {
    const double rounder = 393216.0;
    dtrain_double8 sum, value = __builtin_convertvector(values, dtrain_double8);
    value = (value + rounder) - rounder;
    __builtin_memcpy(&sum, sums, sizeof sum);
    sum += value;
    __builtin_memcpy(sums, &sum, sizeof sum);
}

// Starts this program anew with OPENBLAS_NUM_THREADS=1, unless that is what the environment says. OpenBLAS starts its threads
// when it is loaded, 128 MiB of address space each; where a limit (ulimit -v) refuses that, they loop for ever, and so does
// exit(), which waits for them. dtrain never uses them. Only the environment at the process's start can tell OpenBLAS so, and
// the libraries' initialisers have not run yet when this is called: no Swift runtime, no allocation. Changes nothing else:
// arguments, descriptors, signals, process id. Where the start anew fails, the process goes on as it is.
static inline void dtrain_before_libraries(char **arguments, char **environment) {
    // glibc reserves 64 MiB of addresses for each thread that allocates, which OpenBLAS's buffers would lack
    // later. All threads share one heap where addresses are limited.
    struct rlimit addresses;
    if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
    // Stacks are as large as the limit that a program is started with. A small one ends in a segmentation fault.
    struct rlimit stack;
    const rlim_t enough = 8ul << 20, least = 96ul << 10;
    if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < enough) {
        stack.rlim_cur = stack.rlim_max < enough ? stack.rlim_max : enough;
        setrlimit(RLIMIT_STACK, &stack);
        if (stack.rlim_cur < least) {
            static const char text[] = "dtrain: the stack is limited to less than 96 KiB; hint: ulimit -s 8192\n";
            if (write(2, text, sizeof text - 1) < 0) { }
            _exit(1);
        }
    }
    static char setting[] = "OPENBLAS_NUM_THREADS=1";
    const size_t name = sizeof "OPENBLAS_NUM_THREADS=" - 1;
    size_t count = 0, kept = 0, right = 0, others = 0;
    for (; environment[count]; count++) {
        if (strncmp(environment[count], setting, name) != 0) continue;
        if (strcmp(environment[count], setting) == 0) right++; else others++;
    }
    if (right > 0 && others == 0) return;
    char *changed[count + 2];
    for (size_t index = 0; index < count; index++) {
        if (strncmp(environment[index], setting, name) != 0) changed[kept++] = environment[index];
    }
    changed[kept++] = setting;
    changed[kept] = 0;
    // By its name, not as /proc/self/exe: the process would be called "exe" in ps and top.
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        execve(path, arguments, changed);
    }
    execve("/proc/self/exe", arguments, changed);
}

// The entries of layers, which the linker puts side by side in a section (LayerCatalog); the names of its bounds are the linker's.
typedef void (*dtrain_layer_entry)(void *types);
extern const dtrain_layer_entry __start_dtrain_layers[] __attribute__((visibility("hidden")));
extern const dtrain_layer_entry __stop_dtrain_layers[] __attribute__((visibility("hidden")));
static inline const dtrain_layer_entry *dtrain_first_layer(void) { return __start_dtrain_layers; }
static inline long dtrain_layer_count(void) { return __stop_dtrain_layers - __start_dtrain_layers; }

// Swift's Glibc declares fork unavailable: a child may do little where the parent had threads. dtrain forks before it has any.
static inline int dtrain_fork(void) { return fork(); }

// The calling thread's process gets the signal when its parent ends; 0: none. prctl is variadic, which Swift does not import.
// 1 = PR_SET_PDEATHSIG.
static inline void dtrain_signal_at_parents_end(int signal) { syscall(SYS_prctl, 1, signal, 0, 0, 0); }

// Waits for a blocked signal of a set, and says who sent it: siginfo_t's members are macros. Negative when none came in time.
static inline int dtrain_wait_for_signal(const void *set, long milliseconds, int *sender) {
    struct { long seconds, nanoseconds; } limit = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    // siginfo_t of 64-bit Linux: number, errno, code; then, aligned to 8 bytes, the sender where a process sent it.
    union { int words[32]; long aligned; } information;
    int number = (int)syscall(SYS_rt_sigtimedwait, set, &information, &limit, 8ul);
    *sender = number > 0 && information.words[2] <= 0 ? information.words[4] : 0;
    return number;
}
