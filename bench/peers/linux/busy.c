// SPDX-License-Identifier: MIT
// A service: so many processes that compute for ever.
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    for (int i = count > 1 ? atoi(arguments[1]) : 1; i > 1; i--)
        if (fork() == 0) break;
    for (;;) asm volatile("" ::: "memory");
}
