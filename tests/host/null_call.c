// SPDX-License-Identifier: MIT
// A small program for the peer: what a call costs, and who we are.
#include "measure.h"

int main(void) {
    start_measuring();
    SAMPLE(call0(SYS_getppid));
    report("null-call", "getppid", 1);
    samples[0] = getpid();
    report_some("process", "", 1, 1);
    return 0;
}
