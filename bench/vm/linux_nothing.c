// SPDX-License-Identifier: MIT
// The smallest program that Linux can run: it ends.
__attribute__((naked)) void _start(void) { asm volatile("mov $60, %eax\nxor %edi, %edi\nsyscall"); }
