// SPDX-License-Identifier: MIT
// Three processes in groups of 3:2:1 by weight, which is how Linux divides the processor, and count.
#include "measure.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define CLIENTS 3
#define SLICES 600
#define SLICE 1000000  // timestamps

static const int shares[CLIENTS] = {3, 2, 1};
static volatile u64 *counters;

static void put(const char *path, const char *text) {
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0) fail(path);
    close(file);
}

static void join_group(int client) {
    char path[64], text[16];
    snprintf(path, sizeof path, "/tmp/groups/%d", client);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "/tmp/groups/%d/cpu.weight", client);
    snprintf(text, sizeof text, "%d", 100 * shares[client]);
    put(path, text);
    snprintf(path, sizeof path, "/tmp/groups/%d/cgroup.procs", client);
    put(path, "0");
}

int main(void) {
    start_measuring();
    mkdir("/tmp/groups", 0755);
    expect("cgroup2", !mount("groups", "/tmp/groups", "cgroup2", 0, 0));
    put("/tmp/groups/cgroup.subtree_control", "+cpu");
    counters = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile u64 *start = counters + 8;
    for (int client = 0; client < CLIENTS; client++)
        if (fork() == 0) {
            join_group(client);
            start[client + 1] = 1;
            while (!*start) usleep(1000);
            u64 end = *start + (u64)SLICES * SLICE;
            while (now() < end) counters[client]++;
            _exit(0);
        }
    while (!(start[1] && start[2] && start[3])) usleep(1000);
    usleep(10000);
    *start = now();
    for (int client = 0; client < CLIENTS; client++) wait(0);
    // What comes after must not find them: by the clock a fork would take ten times as long.
    for (int client = 0; client < CLIENTS; client++) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/groups/%d", client);
        expect("rmdir", !rmdir(path));
    }
    put("/tmp/groups/cgroup.subtree_control", "-cpu");
    expect("umount", !umount("/tmp/groups"));
    u64 whole = counters[0] + counters[1] + counters[2];
    for (int client = 0; client < CLIENTS; client++) {
        char variant[64];
        samples[0] = counters[client] * 6 * 1000000 / (whole * shares[client]);
        snprintf(variant, sizeof variant, "client %d, cpu.weight", shares[client]);
        report_as("shares", variant, "ratio", 1000000, 1);
    }
    return 0;
}
