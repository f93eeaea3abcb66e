// SPDX-License-Identifier: MIT
// The markers between which kernel entries, address-space switches and TLB flushes are counted, as in exos/measure.py;
// src/exokernel/host/operations.py says what they mean. They lie outside of the two looks at the clock.
#define MARKER(number) asm volatile("nopl 0x" #number "(%%rax,%%rax,1)" ::: "memory")
#define MARKER_BEGIN() MARKER(0e4f5801)
#define MARKER_END() MARKER(0e4f5802)
#define MARKER_ROW() MARKER(0e4f5803)
