// SPDX-License-Identifier: MIT
// What it costs that one of two who compute is stopped and the other goes on: from the last look at the clock of one to
// the first of the other, less one turn of the loop that looks. Not by the host's clock, which stops the guest at times.
#define INTERRUPTIONS 24
#define LONG_TURN 1000  // timestamps between two looks: longer than the loop, shorter than an interrupt

struct looks {
    u64 before[INTERRUPTIONS], after[INTERRUPTIONS], turn;
};

static void compute(volatile struct looks *mine) {
    mine->turn = LONG_TURN;
    u64 before = now();
    for (int found = 0; found < INTERRUPTIONS;) {
        u64 time = now(), elapsed = time - before;
        if (elapsed > LONG_TURN) {
            mine->before[found] = before;
            mine->after[found++] = time;
        } else if (elapsed < mine->turn)
            mine->turn = elapsed;
        before = time;
    }
}

// The switches among the interruptions of both: one's gap that begins in no gap of its own and ends in the other's.
static unsigned switches(const struct looks *two) {
    unsigned count = 0;
    for (int one = 0; one < 2; one++) {
        const struct looks *from = &two[one], *to = &two[1 - one];
        u64 turn = from->turn > to->turn ? from->turn : to->turn;
        for (int i = 0; i < INTERRUPTIONS; i++)
            for (int j = 0; j < INTERRUPTIONS; j++)
                if (to->before[j] < from->before[i] && from->before[i] < to->after[j] && to->after[j] < from->after[i]) {
                    samples[count++] = to->after[j] - from->before[i] - turn;
                    break;
                }
    }
    return count;
}
