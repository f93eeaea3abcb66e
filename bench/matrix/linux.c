// SPDX-License-Identifier: MIT
// multiply.py in C: 150 x 150 integers, in memory that comes when it is touched, or was there before.
#include "measure.h"

#define SIDE 150
#define RUNS 5

static uint32_t multiply(uint32_t *memory) {
    uint32_t *a = memory, *b = a + SIDE * SIDE, *c = b + SIDE * SIDE, total = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i] = i % 17;
        b[i] = i % 23;
    }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            uint32_t value = 0;
            for (int k = 0; k < SIDE; k++) value += a[i * SIDE + k] * b[k * SIDE + j];
            c[i * SIDE + j] = value;
            total += value;
        }
    return total;
}

int main(void) {
    start_measuring();
    uint32_t totals[2];
    u64 least[2] = {~0ul, ~0ul};
    for (int mapped = 0; mapped < 2; mapped++) {
        pause_before_row();
        for (int run = 0; run < RUNS; run++) {
            unsigned long length = 3 * SIDE * SIDE * 4;
            int flags = MAP_PRIVATE | MAP_ANONYMOUS | (mapped ? MAP_POPULATE : 0);
            void *memory = mmap(0, length, PROT_READ | PROT_WRITE, flags, -1, 0);
            expect("memory", memory != MAP_FAILED);
            u64 before = now();
            totals[mapped] = multiply(memory);
            samples[run] = now() - before - nothing;
            if (samples[run] < least[mapped]) least[mapped] = samples[run];
            munmap(memory, length);
        }
        report_some("multiply", mapped ? "mmap, mapped" : "mmap", 1, RUNS);
    }
    expect("the same results", totals[0] == totals[1]);
    samples[0] = least[0] * 1000000 / least[1];
    report_as("multiply", "mmap", "ratio", 1000000, 1);
    return 0;
}
