// SPDX-License-Identifier: MIT
// Prints this computer's time-stamp ticks in a millisecond, which are also a guest's whose instructions are translated.
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

int main(void) {
    uint64_t start = nanoseconds(), ticks = __builtin_ia32_rdtsc(), time;
    do time = nanoseconds();
    while (time - start < 100000000);
    printf("%.0f\n", (__builtin_ia32_rdtsc() - ticks) * 1e6 / (time - start));
    return 0;
}
