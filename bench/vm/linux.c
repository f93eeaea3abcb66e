// SPDX-License-Identifier: MIT
// The rows of this exhibit on Linux, with pages.py's definitions: exhibit.py has them. A page is `inside` when its
// hundred neighbours are one area of the kernel's, which a change to one page splits and merges, and `its own` when it
// is an area; userfaultfd protects without areas. What a child of `fork` does is what processes.py's does.
#include "measure.h"

#include <linux/userfaultfd.h>
#include <spawn.h>
#include <sys/ioctl.h>

#define PAGES 100
#define FEWER 31  // samples of what takes long
#define FORKED_PAGES 64

static char *pages;
static int order[PAGES];  // a random permutation; the first page is touched first

static void shuffle(void) {
    u64 seed = 12345;
    for (int i = 0; i < PAGES; i++) order[i] = i;
    for (int i = PAGES - 1; i > 1; i--) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        int j = 1 + (seed >> 33) % i, other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
}

static void touch(int page) { *(volatile char *)(pages + page * PAGE) = 1; }

static void protect(int page, unsigned long count, int rights) {
    if (mprotect(pages + page * PAGE, count * PAGE, rights)) fail("mprotect");
}

#define READ PROT_READ
#define WRITE (PROT_READ | PROT_WRITE)

// ---- dirty pages

static void dirty(void) {
    pages = region(PAGES);
    int map = open("/proc/self/pagemap", O_RDONLY), clear = open("/proc/self/clear_refs", O_WRONLY);
    u64 entries[PAGES], found = 0, first = (u64)pages / PAGE * 8;
    expect("pagemap", map >= 0 && clear >= 0 && write(clear, "4", 1) == 1);
    for (int i = 0; i < PAGES; i++) touch(i);
    SAMPLE(for (int i = 0; i < PAGES; i++) {
        if (pread(map, entries, 8, first + order[i] * 8) != 8) fail("pread");
        found += entries[0] >> 55 & 1;
    });
    report("dirty", "pagemap", PAGES);
    SAMPLE({
        if (pread(map, entries, sizeof entries, first) != sizeof entries) fail("pread");
        for (int i = 0; i < PAGES; i++) found += entries[order[i]] >> 55 & 1;
    });
    report("dirty", "pagemap, all in one call", PAGES);
    expect("all are dirty", found == 2 * PAGES * (SAMPLES + WARM));
}

// ---- protection by mprotect

static int left, previous;

static int page_of(siginfo_t *information) { return ((char *)information->si_addr - pages) / PAGE; }

static void refault(int number, siginfo_t *information, void *context) {
    if (--left == 0) protect(page_of(information), 1, WRITE);
}

static void exchange(int number, siginfo_t *information, void *context) {
    protect(previous, 1, READ);
    protect(previous = page_of(information), 1, WRITE);
}

static void unprotect(int number, siginfo_t *information, void *context) { protect(page_of(information), 1, WRITE); }

static void by_mprotect(void) {
    pages = region(PAGES);
    // Each sample from pages that may be written, whose change back does not count.
    SAMPLE_AFTER(protect(0, PAGES, WRITE), for (int i = 0; i < PAGES; i++) protect(order[i], 1, READ););
    report("prot1", "mprotect, inside", PAGES);
    SAMPLE_AFTER({
        protect(0, PAGES, WRITE);
        for (int i = 0; i < PAGES; i++) touch(i);
    }, {
        protect(0, PAGES, READ);
    });
    report("prot100", "mprotect", 1);
    SAMPLE_AFTER(protect(0, PAGES, READ), protect(0, PAGES, WRITE));
    report("unprot100", "mprotect", 1);

    for (int hand = 0; hand < 2; hand++) {
        if (hand)
            handle_by_hand(SIGSEGV, refault);
        else
            handle(SIGSEGV, refault, 0);
        SAMPLE_AFTER(protect(0, 1, READ), {
            left = PAGES;
            touch(0);
        });
        report("trap", hand ? "SIGSEGV, resumed by hand" : "SIGSEGV", PAGES);
    }
    handle_by_hand(SIGSEGV, exchange);
    protect(0, PAGES, READ);
    protect(previous = 0, 1, WRITE);
    SAMPLE({
        for (int i = 1; i < PAGES; i++) touch(order[i]);
        touch(0);
    });
    report("appel1", "mprotect and SIGSEGV, resumed by hand", PAGES);
    handle_by_hand(SIGSEGV, unprotect);
    protect(0, PAGES, WRITE);
    SAMPLE({
        protect(0, PAGES, READ);
        for (int i = 0; i < PAGES; i++) touch(order[i]);
    });
    report("appel2", "mprotect and SIGSEGV, resumed by hand", PAGES);

    pages = region(1);
    SAMPLE(for (int i = 0; i < PAGES; i++) protect(0, 1, i % 2 ? READ : WRITE));
    report("prot1", "mprotect, its own area", PAGES);
}

// ---- protection by userfaultfd, in a process of an ordinary user, whose pages have no areas of their own

static int monitor;

static void change(int page, unsigned long count, u64 mode) {
    struct uffdio_writeprotect request = {.range = {(u64)(pages + page * PAGE), count * PAGE}, .mode = mode};
    if (ioctl(monitor, UFFDIO_WRITEPROTECT, &request)) fail("UFFDIO_WRITEPROTECT");
}

static void watch(void) {
    pages = region(PAGES);
    monitor = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api interface = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    struct uffdio_register area = {.range = {(u64)pages, PAGES * PAGE}, .mode = UFFDIO_REGISTER_MODE_WP};
    expect("userfaultfd", monitor >= 0 && !ioctl(monitor, UFFDIO_API, &interface));
    expect("userfaultfd's area", !ioctl(monitor, UFFDIO_REGISTER, &area));
}

#define PROTECT UFFDIO_WRITEPROTECT_MODE_WP
#define QUIETLY UFFDIO_WRITEPROTECT_MODE_DONTWAKE  // nobody waits

static void exchange_watched(int number, siginfo_t *information, void *context) {
    change(previous, 1, PROTECT);
    change(previous = page_of(information), 1, QUIETLY);
}

static void unprotect_watched(int number, siginfo_t *information, void *context) {
    change(page_of(information), 1, QUIETLY);
}

static void by_userfaultfd(void) {
    expect("user nobody", !setgid(65534) && !setuid(65534));
    watch();
    SAMPLE_AFTER(change(0, PAGES, QUIETLY), for (int i = 0; i < PAGES; i++) change(order[i], 1, PROTECT););
    report("prot1", "userfaultfd", PAGES);
    SAMPLE_AFTER(change(0, PAGES, QUIETLY), change(0, PAGES, PROTECT));
    report("prot100", "userfaultfd", 1);
    SAMPLE_AFTER(change(0, PAGES, PROTECT), change(0, PAGES, QUIETLY));
    report("unprot100", "userfaultfd", 1);
    handle_by_hand(SIGBUS, exchange_watched);
    change(0, PAGES, PROTECT);
    change(previous = 0, 1, QUIETLY);
    SAMPLE({
        for (int i = 1; i < PAGES; i++) touch(order[i]);
        touch(0);
    });
    report("appel1", "userfaultfd and SIGBUS, resumed by hand", PAGES);
    handle_by_hand(SIGBUS, unprotect_watched);
    SAMPLE({
        change(0, PAGES, PROTECT);
        for (int i = 0; i < PAGES; i++) touch(order[i]);
    });
    report("appel2", "userfaultfd and SIGBUS, resumed by hand", PAGES);
}

// ---- fresh pages

static void renew(void) {
    if (pages) munmap(pages, PAGES * PAGE);
    pages = mmap(0, PAGES * PAGE, WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect("pages", pages != MAP_FAILED);
    madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE);
}

static void demand(void) {
    pages = 0;
    SAMPLE_SOME(FEWER, renew(), for (int i = 0; i < PAGES; i++) *(volatile char *)(pages + i * PAGE) = 1);
    report_some("demand-zero", "a store", PAGES, FEWER);
    SAMPLE_SOME(FEWER, renew(), for (int i = 0; i < PAGES; i++) (void)*(volatile char *)(pages + i * PAGE));
    report_some("demand-zero", "a load, of a page of zeros that all share", PAGES, FEWER);
}

// ---- processes

static void wait_for(pid_t child) {
    int status;
    if (child <= 0 || waitpid(child, &status, 0) != child || status) fail("child");
}

static void forks(void) {
    pages = region(FORKED_PAGES);
    for (int writes = 0; writes < 2; writes++) {
        SAMPLE_SOME(FEWER, for (int i = 0; i < FORKED_PAGES; i++) touch(i), {
            pid_t child = fork();
            if (child == 0) {
                if (writes) touch(0);
                _exit(0);
            }
            wait_for(child);
        });
        report_some("fork", writes ? "fork, the child writes" : "fork", 1, FEWER);
    }
    munmap(pages, FORKED_PAGES * PAGE);
}

extern char **environ;

static void spawns(void) {
    static char *const smallest[] = {"/bin/nothing", 0}, *const ourselves[] = {"/proc/self/exe", "nothing", 0};
    SAMPLE_SOME(FEWER, {}, {
        pid_t child = vfork();
        if (child == 0) {
            execve(smallest[0], smallest, environ);
            _exit(1);
        }
        wait_for(child);
    });
    report_some("spawn", "vfork and exec of three instructions", 1, FEWER);
    SAMPLE_SOME(FEWER, {}, {
        pid_t child;
        expect("posix_spawn", !posix_spawn(&child, smallest[0], 0, 0, smallest, environ));
        wait_for(child);
    });
    report_some("spawn", "posix_spawn of three instructions", 1, FEWER);
    SAMPLE_SOME(FEWER, {}, {
        pid_t child = fork();
        if (child == 0) {
            execve(smallest[0], smallest, environ);
            _exit(1);
        }
        wait_for(child);
    });
    report_some("spawn", "fork and exec of three instructions", 1, FEWER);
    SAMPLE_SOME(FEWER, {}, {
        pid_t child = vfork();
        if (child == 0) {
            execve(ourselves[0], ourselves, environ);
            _exit(1);
        }
        wait_for(child);
    });
    report_some("spawn", "vfork and exec with libc", 1, FEWER);
}

static void in_a_child(void (*function)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        function();
        exit(0);
    }
    wait_for(child);
}

int main(int count, char **arguments) {
    if (count > 1) return 0;  // exec with libc
    start_measuring();
    shuffle();
    in_a_child(forks);  // while the process is small
    in_a_child(spawns);
    in_a_child(dirty);
    in_a_child(by_mprotect);
    in_a_child(by_userfaultfd);
    in_a_child(demand);
    return 0;
}
