// SPDX-License-Identifier: MIT
// The rows of this exhibit on Linux: each sample is of ROUNDS round trips, as in ipc.py. A word bounces through two of
// whatever passes words; the shared counter says whose turn it is, and the processor is given up until it is ours; a
// counter is incremented by another process and its value returned. `pipe-inline` has no counterpart: a pipe is the
// kernel's. All but `SCHED_FIFO` are what any user may do.
#include "measure.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#define ROUNDS 8

// ---- a word through descriptors

static int to_partner[2], from_partner[2];  // the ends to read and to write

static void bounce(void) {
    u64 word;
    while (read(to_partner[0], &word, sizeof word) == sizeof word) {
        word++;
        if (write(from_partner[1], &word, sizeof word) != sizeof word) _exit(1);
    }
}

static void pass_words(const char *row, const char *variant, unsigned operations) {
    pid_t other = partner(bounce);
    u64 word = 1;
    SAMPLE(for (int i = 0; i < ROUNDS; i++) {
        u64 sent = word;
        expect("write", write(to_partner[1], &word, sizeof word) == sizeof word);
        expect("read", read(from_partner[0], &word, sizeof word) == sizeof word);
        expect("the word", word == sent + 1);
    });
    report(row, variant, operations);
    end(other);
}

static void by_descriptors(const char *policy) {
    char name[64];
    expect("pipe", !pipe(to_partner) && !pipe(from_partner));
    snprintf(name, sizeof name, "pipe%s", policy);
    pass_words("pipe", name, 2 * ROUNDS);
    snprintf(name, sizeof name, "pipes%s", policy);
    pass_words("lrpc", name, ROUNDS);
    for (int i = 0; i < 2; i++) close(to_partner[i]), close(from_partner[i]);
    expect("eventfd", (to_partner[0] = to_partner[1] = eventfd(0, 0)) >= 0);
    expect("eventfd", (from_partner[0] = from_partner[1] = eventfd(0, 0)) >= 0);
    snprintf(name, sizeof name, "eventfd%s", policy);
    pass_words("pipe", name, 2 * ROUNDS);
    close(to_partner[0]), close(from_partner[0]);
    static const struct {
        int type;
        const char *name;
    } kinds[] = {{SOCK_STREAM, "unix stream"}, {SOCK_SEQPACKET, "unix seqpacket"}, {SOCK_DGRAM, "unix dgram"}};
    for (int i = 0; i < 3; i++) {
        int ends[2];
        expect("socketpair", !socketpair(AF_UNIX, kinds[i].type, 0, ends));
        to_partner[1] = from_partner[0] = ends[0];
        to_partner[0] = from_partner[1] = ends[1];
        snprintf(name, sizeof name, "%s%s", kinds[i].name, policy);
        pass_words("pipe", name, 2 * ROUNDS);
        pass_words("lrpc", name, ROUNDS);
        close(ends[0]), close(ends[1]);
    }
}

// ---- shared memory: word 0 is the turn (32 bits, as futexes want), word 8 the counter of the procedure

#define TURN ((volatile uint32_t *)shared)
#define COUNTER (shared + 8)

static inline void await_by_futex(uint32_t turn) {
    uint32_t seen;
    while ((seen = *TURN) != turn) futex(TURN, FUTEX_WAIT, seen);
}

static inline void pass_by_futex(uint32_t turn) {
    *TURN = turn;
    futex(TURN, FUTEX_WAKE, 1);
}

static inline void await_by_yield(uint32_t turn) {
    while (*TURN != turn) call0(SYS_sched_yield);
}

static void take_turns_by_futex(void) {
    for (uint32_t mine = 1;; mine += 2) {
        await_by_futex(mine);
        (*COUNTER)++;
        pass_by_futex(mine + 1);
    }
}

static void take_turns_by_yield(void) {
    for (uint32_t mine = 1;; mine += 2) {
        await_by_yield(mine);
        (*COUNTER)++;
        *TURN = mine + 1;
    }
}

// The same is a call of a procedure: who waits for its turn is called, increments, and returns by passing it back.
static void by_memory(const char *policy) {
    static const char *const rows[] = {"shm", "lrpc", "tlrpc"};
    char name[64];
    for (int i = 0; i < 6; i++) {
        int yields = i % 2;
        *TURN = 0;
        uint32_t mine = 0;
        pid_t other = partner(yields ? take_turns_by_yield : take_turns_by_futex);
        u64 value = *COUNTER;
        if (yields)
            SAMPLE(for (int i = 0; i < ROUNDS; i++) {
                *TURN = mine += 1;
                await_by_yield(mine += 1);
                value++;
                expect("the counter", *COUNTER == value);
            });
        else
            SAMPLE(for (int i = 0; i < ROUNDS; i++) {
                pass_by_futex(mine += 1);
                await_by_futex(mine += 1);
                value++;
                expect("the counter", *COUNTER == value);
            });
        snprintf(name, sizeof name, "%s%s", yields ? "sched_yield" : "futex", policy);
        report(rows[i / 2], name, i < 2 ? 2 * ROUNDS : ROUNDS);
        end(other);
    }
}

int main(void) {
    start_measuring();
    share();
    by_descriptors("");
    by_memory("");
    use_policy(SCHED_FIFO);
    by_descriptors(", SCHED_FIFO");
    by_memory(", SCHED_FIFO");
    return 0;
}
