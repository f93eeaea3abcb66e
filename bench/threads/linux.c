// SPDX-License-Identifier: MIT
// The rows of this exhibit on Linux. `swapcontext` is threads that the process switches itself, with the calls of libc. A
// lock of one's own over futexes (Drepper, Futexes Are Tricky, mutex 3), inlined, is the least that Linux can have.
#include "measure.h"

#include <pthread.h>
#include <ucontext.h>

#include "preempted.h"

static volatile u64 before_yield;
static volatile int taken;

// From before the call in one to behind that of the other.
static void take(void) {
    u64 time = now();
    if (taken >= 0 && taken < SAMPLES) samples[taken] = time - before_yield - nothing;
    taken++;
}

static void *hand_over(void *unused) {
    while (taken < SAMPLES) {
        before_yield = now();
        call0(SYS_sched_yield);
        take();
    }
    return 0;
}

static inline void lock(uint32_t *word) {  // 0 free, 1 taken, 2 taken and wanted
    uint32_t seen = 0;
    if (__atomic_compare_exchange_n(word, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE)) futex(word, FUTEX_WAIT, 2);
}

static inline void unlock(uint32_t *word) {
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2) futex(word, FUTEX_WAKE, 1);
}

static void *nothing_to_do(void *unused) { return 0; }

static void both(void *(*function)(void *), void *first, void *second) {
    pthread_t threads[2];
    expect("thread", !pthread_create(&threads[0], 0, function, first));
    expect("thread", !pthread_create(&threads[1], 0, function, second));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
}

static ucontext_t contexts[3];

static void swap(int mine) {
    while (taken < SAMPLES) {
        before_yield = now();
        swapcontext(&contexts[mine], &contexts[1 - mine]);
        take();
    }
}

static void swapping(void) {
    static char stacks[2][65536];
    for (int i = 0; i < 2; i++) {
        getcontext(&contexts[i]);
        contexts[i].uc_stack.ss_sp = stacks[i];
        contexts[i].uc_stack.ss_size = sizeof stacks[i];
        contexts[i].uc_link = &contexts[2];
        makecontext(&contexts[i], (void (*)(void))swap, 1, i);
    }
    taken = -WARM;
    swapcontext(&contexts[2], &contexts[0]);
    report("thread-yield", "swapcontext", 1);
}

static void yielding(const char *variant) {
    pause_before_row();
    taken = -WARM;
    both(hand_over, 0, 0);
    report("thread-yield", variant, 1);
}

static struct looks looked[2];

static void *look(void *mine) {
    compute(mine);
    return 0;
}

static void preempted(const char *variant) {
    if (getenv("WALL")) return;
    both(look, &looked[0], &looked[1]);
    unsigned count = switches(looked);
    expect("switches", count > INTERRUPTIONS / 4);
    report_some("thread-preempted", variant, 1, count);
}

int main(void) {
    start_measuring();
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    both(nothing_to_do, 0, 0);  // from now on locks are real: libc knows when a process has one thread
    SAMPLE({
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    });
    report("mutex-lock-unlock", "pthread mutex", 1);
    uint32_t word = 0;
    SAMPLE({
        lock(&word);
        unlock(&word);
    });
    report("mutex-lock-unlock", "futex, inlined", 1);
    SAMPLE({
        pthread_t thread;
        expect("thread", !pthread_create(&thread, 0, nothing_to_do, 0));
        pthread_join(thread, 0);
    });
    report("thread-create-join", "pthread", 1);
    swapping();
    yielding("sched_yield");
    preempted("fair share");
    use_policy(SCHED_FIFO);
    yielding("sched_yield, SCHED_FIFO");
    SAMPLE({
        pthread_t thread;
        expect("thread", !pthread_create(&thread, 0, nothing_to_do, 0));
        pthread_join(thread, 0);
    });
    report("thread-create-join", "pthread, SCHED_FIFO", 1);
    int slice = open("/proc/sys/kernel/sched_rr_timeslice_ms", O_WRONLY);
    expect("sched_rr_timeslice_ms", slice >= 0 && write(slice, "4", 1) == 1);
    use_policy(SCHED_RR);
    preempted("SCHED_RR");
    return 0;
}
