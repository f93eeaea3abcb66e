// SPDX-License-Identifier: MIT
// How a program on Linux measures itself, as the applications of bench/ do: the time-stamp counter before and after,
// less what measuring nothing costs. Under `-icount shift=0` the counter counts instructions.
//
// Results are kept in memory until the program ends, and a pause lies before each row: output leaves interrupts behind.
// A line is `row|variant|unit|operations|sample sample ...`: each sample is of so many operations. The unit is `ticks` of
// the counter, or `ns` of Linux's clock, or `ratio`.
//
// With WALL in the environment (a word of the kernel's command line) the clock is the host's: pauses of the guest are
// then no sign of an interrupt.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "markers.h"

#define SAMPLES 101
#define WARM 8  // samples taken before and thrown away
#define PAGE 4096ul

typedef uint64_t u64;

static u64 samples[SAMPLES];
static u64 nothing;

static inline u64 now(void) {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64)high << 32 | low;
}

static inline void pause_before_row(void) { usleep(3000); }

static inline void report_as(const char *row, const char *variant, const char *unit, unsigned operations, unsigned count) {
    printf("%s|%s|%s|%u|", row, variant, unit, operations);
    for (unsigned i = 0; i < count; i++) printf(" %ld", (long)samples[i]);
    printf("\n");
    MARKER_ROW();
}

static inline void report_some(const char *row, const char *variant, unsigned operations, unsigned count) {
    report_as(row, variant, "ticks", operations, count);
}

static inline void report(const char *row, const char *variant, unsigned operations) {
    report_some(row, variant, operations, SAMPLES);
}

static inline void fail(const char *what) {
    printf("failed: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static inline void expect(const char *what, int condition) {
    if (!condition) fail(what);
}

// Every sample of `count` is what BODY took, after SETUP, which does not count.
#define SAMPLE_SOME(count, SETUP, BODY)                             \
    do {                                                            \
        pause_before_row();                                         \
        for (int sample = -WARM; sample < (int)(count); sample++) { \
            SETUP;                                                  \
            MARKER_BEGIN();                                         \
            u64 before = now();                                     \
            BODY;                                                   \
            u64 took = now() - before - nothing;                    \
            MARKER_END();                                           \
            if (sample >= 0) samples[sample] = took;                \
        }                                                           \
    } while (0)
#define SAMPLE_AFTER(SETUP, BODY) SAMPLE_SOME(SAMPLES, SETUP, BODY)
#define SAMPLE(BODY) SAMPLE_SOME(SAMPLES, {}, BODY)

static inline void start_measuring(void) {
    static char output[1 << 18];
    setvbuf(stdout, output, _IOFBF, sizeof output);
    u64 least = ~0ul;
    SAMPLE({});
    for (int i = 0; i < SAMPLES; i++)
        if (samples[i] < least) least = samples[i];
    nothing = least;
}

// A second process, which shares `shared` with us; it ends with us.
static volatile u64 *shared;

static inline void share(void) {
    shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect("shared memory", shared != MAP_FAILED);
}

static inline pid_t partner(void (*function)(void)) {
    pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        function();
        _exit(0);
    }
    return process;
}

static inline void end(pid_t process) {
    kill(process, SIGKILL);
    waitpid(process, 0, 0);
}

// Real-time priority; children inherit it. Its bandwidth limit would leave gaps, so it is taken off.
static inline void use_policy(int policy) {
    int limit = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY);
    if (limit >= 0) {
        expect("sched_rt_runtime_us", write(limit, "-1", 2) == 2);
        close(limit);
    }
    struct sched_param parameters = {.sched_priority = policy == SCHED_OTHER ? 0 : 10};
    expect("scheduling policy", sched_setscheduler(0, policy, &parameters) == 0);
}

static inline long call0(long number) {
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static inline long futex(volatile void *word, int operation, int value) {
    long result;
    register long timeout asm("r10") = 0;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(SYS_futex), "D"(word), "S"(operation), "d"(value), "r"(timeout)
                 : "rcx", "r11", "memory");
    return result;
}

typedef void (*handler_t)(int, siginfo_t *, void *);

static inline void handle(int number, handler_t handler, int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    expect("sigaction", sigaction(number, &action, 0) == 0);
}

// As `handle`, but the interrupted program is resumed without the kernel, as ours resume: the handler is called by code
// that then restores every register itself, the floating-point registers too, which the kernel has reset. Its frame's
// layout is that of ucontext_t. No signal may be blocked by the handler (SA_NODEFER).
static handler_t by_hand;

__attribute__((naked, unused)) static void resume_by_hand(int number, siginfo_t *information, void *context) {
    asm volatile(
        "mov %%rdx, %%rbx\n"
        "sub $8, %%rsp\n"
        "call *%0\n"
        "mov %%rbx, %%rdi\n"
        "mov 224(%%rdi), %%rcx\n"  // floating-point state
        "mov $-1, %%eax\n"
        "mov %%eax, %%edx\n"
        "xrstor64 (%%rcx)\n"
        "mov 160(%%rdi), %%rsp\n"
        "sub $128, %%rsp\n"  // the red zone
        "mov 168(%%rdi), %%rax\n"
        "mov 176(%%rdi), %%rcx\n"
        "push %%rax\n"  // the instruction's address
        "push %%rcx\n"  // flags
        "mov 40(%%rdi), %%r8\n"
        "mov 48(%%rdi), %%r9\n"
        "mov 56(%%rdi), %%r10\n"
        "mov 64(%%rdi), %%r11\n"
        "mov 72(%%rdi), %%r12\n"
        "mov 80(%%rdi), %%r13\n"
        "mov 88(%%rdi), %%r14\n"
        "mov 96(%%rdi), %%r15\n"
        "mov 112(%%rdi), %%rsi\n"
        "mov 120(%%rdi), %%rbp\n"
        "mov 128(%%rdi), %%rbx\n"
        "mov 136(%%rdi), %%rdx\n"
        "mov 144(%%rdi), %%rax\n"
        "mov 152(%%rdi), %%rcx\n"
        "mov 104(%%rdi), %%rdi\n"
        "popfq\n"
        "ret $128\n" ::"m"(by_hand));
}

static inline void handle_by_hand(int number, handler_t handler) {
    by_hand = handler;
    handle(number, resume_by_hand, SA_NODEFER);
}

// `pages` of their own, all written, with a hole on both sides so that the kernel's areas do not merge.
static inline char *region(unsigned long pages) {
    char *at = mmap(0, (pages + 2) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect("region", at != MAP_FAILED);
    munmap(at, PAGE);
    munmap(at + (pages + 1) * PAGE, PAGE);
    at += PAGE;
    madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
    for (unsigned long i = 0; i < pages; i++) at[i * PAGE] = 1;
    return at;
}
