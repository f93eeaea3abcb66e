// SPDX-License-Identifier: MIT
// The rows of this exhibit on Linux, with the call that is nearest to each. `By hand`: measure.h.
#include "measure.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <ucontext.h>

#include "preempted.h"

static char *page;

static void null_calls(void) {
    SAMPLE(call0(1023));
    report("null-call", "no such call", 1);
    SAMPLE(call0(SYS_getppid));
    report("null-call", "getppid", 1);
    SAMPLE(getppid());
    report("null-call", "getppid of libc", 1);
}

static void protections(void) {
    page = region(1);
    SAMPLE(mprotect(page, PAGE, sample % 2 ? PROT_READ : PROT_READ | PROT_WRITE));
    report("tlb-protect", "mprotect", 1);
    page = region(100);
    SAMPLE(mprotect(page, 100 * PAGE, sample % 2 ? PROT_READ : PROT_READ | PROT_WRITE));
    report("tlb-protect-100", "mprotect", 1);
    int monitor = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api interface = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    struct uffdio_register area = {.range = {(u64)page, 100 * PAGE}, .mode = UFFDIO_REGISTER_MODE_WP};
    expect("userfaultfd", monitor >= 0 && !ioctl(monitor, UFFDIO_API, &interface));
    expect("userfaultfd's area", !ioctl(monitor, UFFDIO_REGISTER, &area));
    struct uffdio_writeprotect change = {.range = {(u64)page, PAGE}};
    SAMPLE(change.mode = sample & 1; expect("protect", !ioctl(monitor, UFFDIO_WRITEPROTECT, &change)));
    report("tlb-protect", "userfaultfd", 1);
    change.range.len = 100 * PAGE;
    SAMPLE(change.mode = sample & 1; expect("protect", !ioctl(monitor, UFFDIO_WRITEPROTECT, &change)));
    report("tlb-protect-100", "userfaultfd", 1);
    close(monitor);
    // A frame that is there already gets a place, as with `tlb_insert`: none of it is cleared or copied.
    int memory = syscall(SYS_memfd_create, "memory", 0);
    expect("memory", !ftruncate(memory, PAGE));
    page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);
    *page = 1;
    SAMPLE_AFTER(munmap(page, PAGE),
                 mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | MAP_FIXED, memory, 0));
    report("tlb-insert", "mmap of shared memory", 1);
}

// ---- exceptions

#define INSTRUCTION 2  // bytes of `ud2` and of the load

static void skip(int number, siginfo_t *information, void *context) {
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += INSTRUCTION;
}

static void exceptions(const char *ill, const char *segv) {
    SAMPLE(asm volatile("ud2" ::: "memory"));
    report("undefined-instruction", ill, 1);
    char *nowhere = page;
    SAMPLE(asm volatile("mov (%0), %%ecx" ::"D"(nowhere) : "rcx", "memory"));
    report("page-fault", segv, 1);
}

static void all_exceptions(void) {
    page = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(SIGILL, skip, 0);
    handle(SIGSEGV, skip, 0);
    exceptions("SIGILL", "SIGSEGV");
    handle_by_hand(SIGILL, skip);
    handle_by_hand(SIGSEGV, skip);
    exceptions("SIGILL, resumed by hand", "SIGSEGV, resumed by hand");
}

// ---- two processes


// The partner only yields; it counts its turns, and a sample in which there was not exactly one is an error.
static void yield_and_count(void) {
    for (;;) {
        shared[0]++;
        call0(SYS_sched_yield);
    }
}

static void call_by_futex(void) {
    for (;;) {
        while (shared[0] != 1) futex(&shared[0], FUTEX_WAIT, 0);
        shared[0] = 0;
        futex(&shared[0], FUTEX_WAKE, 1);
    }
}

static void call_by_yield(void) {
    for (;;) {
        while (shared[0] != 1) call0(SYS_sched_yield);
        shared[0] = 0;
    }
}

static void one_by_one(const char *futexes, const char *yields) {
    shared[0] = 0;
    pid_t other = partner(call_by_futex);
    SAMPLE({
        shared[0] = 1;
        futex(&shared[0], FUTEX_WAKE, 1);
        while (shared[0] != 0) futex(&shared[0], FUTEX_WAIT, 1);
    });
    report("transfer-round-trip", futexes, 1);
    end(other);
    other = partner(call_by_yield);
    SAMPLE({
        shared[0] = 1;
        while (shared[0] != 0) call0(SYS_sched_yield);
    });
    report("transfer-round-trip", yields, 1);
    // The same without a word that passes: until the partner has had its turn.
    end(other);
    other = partner(yield_and_count);
    SAMPLE({
        u64 turn = shared[0];
        while (shared[0] == turn) call0(SYS_sched_yield);
    });
    report("yield-round-trip", yields, 1);
    end(other);
}

static struct looks *both;

static void first(void) { compute(&both[0]); }
static void second(void) { compute(&both[1]); }

// Two children, whose first slice is as long as any other.
static void preempted(const char *variant) {
    if (getenv("WALL")) return;
    pid_t one = partner(first), other = partner(second);
    waitpid(one, 0, 0);
    waitpid(other, 0, 0);
    unsigned count = switches(both);
    expect("switches", count > INTERRUPTIONS / 4);
    report_some("timer-switch", variant, 1, count);
}

int main(void) {
    start_measuring();
    share();
    both = mmap(0, 2 * sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    null_calls();
    protections();
    all_exceptions();
    one_by_one("futex", "sched_yield");
    preempted("fair share");
    use_policy(SCHED_FIFO);
    one_by_one("futex, SCHED_FIFO", "sched_yield, SCHED_FIFO");
    use_policy(SCHED_RR);
    int slice = open("/proc/sys/kernel/sched_rr_timeslice_ms", O_WRONLY);
    expect("sched_rr_timeslice_ms", slice >= 0 && write(slice, "4", 1) == 1);
    preempted("SCHED_RR");
    return 0;
}
