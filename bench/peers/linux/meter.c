// SPDX-License-Identifier: MIT
// A service: what the machine works, seen by a process that gets the processor only when nobody else wants it, and counts
// its turns. To whoever connects to port 81 it tells the time-stamp counter and the turns (host/counting.py).
#include "measure.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define PORT 81

static void count_turns(void) {
    struct sched_param parameters = {0};
    expect("SCHED_IDLE", !sched_setscheduler(0, SCHED_IDLE, &parameters));
    for (;;) {
        for (int i = 0; i < 200; i++) asm volatile("" ::: "memory");
        shared[0]++;
    }
}

int main(void) {
    share();
    partner(count_turns);
    int number = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    expect("bind", !bind(number, (struct sockaddr *)&address, sizeof address) && !listen(number, 8));
    dprintf(1, "ready\n");
    for (;;) {
        char line[64];
        int connection = accept(number, 0, 0);
        if (connection < 0) continue;
        int length = snprintf(line, sizeof line, "%lu %lu\n", now(), shared[0]);
        if (write(connection, line, length) != length) dprintf(1, "failed: write\n");
        close(connection);
    }
}
