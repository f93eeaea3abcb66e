// SPDX-License-Identifier: MIT
// A service: UDP datagrams to port 7 hold a counter, which is counted up and sent back. By `sockets`, by `fifo`, sockets of
// a process of real-time priority, together with the kernel's thread for packets, or by a program in the kernel, which
// the driver calls (`native`) or the stack (`generic`).
#include "measure.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "bpf.h"

#define PORT 7
#define MESSAGE 42  // its place in the frame

static void by_socket(void) {
    int number = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    expect("bind", !bind(number, (struct sockaddr *)&address, sizeof address));
    dprintf(1, "ready\n");
    for (;;) {
        unsigned char data[2048];
        socklen_t size = sizeof address;
        ssize_t length = recvfrom(number, data, sizeof data, 0, (struct sockaddr *)&address, &size);
        if (length < 4) continue;
        *(uint32_t *)data = htonl(ntohl(*(uint32_t *)data) + 1);
        sendto(number, data, length, 0, (struct sockaddr *)&address, size);
    }
}

// The same priority for ksoftirqd, which handles packets when there are many.
static void hurry_kernel(void) {
    for (int process = 2; process < 400; process++) {
        char path[64], name[64] = "";
        snprintf(path, sizeof path, "/proc/%d/comm", process);
        int file = open(path, O_RDONLY);
        if (file < 0) continue;
        ssize_t length = read(file, name, sizeof name - 1);
        close(file);
        if (length > 0 && strncmp(name, "ksoftirqd/0", 11) == 0) {
            struct sched_param parameters = {.sched_priority = 10};
            expect("ksoftirqd", !sched_setscheduler(process, SCHED_FIFO, &parameters));
        }
    }
}

static void emit_swap(int size, int first, int second) {
    emit(LOAD(size), 4, 2, first, 0);
    emit(LOAD(size), 5, 2, second, 0);
    emit(STORE(size), 2, 4, second, 0);
    emit(STORE(size), 2, 5, first, 0);
}

// What is swapped leaves the checksums as they are; the counter changes UDP's, if there is one (RFC 1624).
static void emit_echo(void) {
    emit_start(MESSAGE + 4);
    emit(LOAD(BPF_H), 5, 2, 12, 0);
    unless(5, 0x0008);
    emit(LOAD(BPF_B), 5, 2, 14, 0);
    unless(5, 0x45);
    emit(LOAD(BPF_B), 5, 2, 23, 0);
    unless(5, IPPROTO_UDP);
    emit(LOAD(BPF_H), 5, 2, 36, 0);
    unless(5, htons(PORT));
    emit_swap(BPF_W, 0, 6);
    emit_swap(BPF_H, 4, 10);
    emit_swap(BPF_W, 26, 30);
    emit_swap(BPF_H, 34, 36);
    emit(LOAD(BPF_W), 6, 2, MESSAGE, 0);
    emit(MOVE(BPF_X), 7, 6, 0, 0);
    emit(BPF_ALU | BPF_END | BPF_TO_BE, 7, 0, 0, 32);
    emit(ADD(BPF_K), 7, 0, 0, 1);
    emit(BPF_ALU | BPF_END | BPF_TO_BE, 7, 0, 0, 32);
    emit(STORE(BPF_W), 2, 7, MESSAGE, 0);
    emit(LOAD(BPF_H), 8, 2, 40, 0);
    int none = emit(BPF_JMP | BPF_JEQ | BPF_K, 8, 0, 0, 0);
    emit(BPF_ALU64 | BPF_XOR | BPF_K, 8, 0, 0, 0xffff);
    emit(BPF_ALU | BPF_XOR | BPF_K, 6, 0, 0, -1);
    emit(ADD(BPF_X), 8, 6, 0, 0);
    emit(ADD(BPF_X), 8, 7, 0, 0);
    for (int i = 0; i < 3; i++) {
        emit(MOVE(BPF_X), 9, 8, 0, 0);
        emit(BPF_ALU64 | BPF_RSH | BPF_K, 9, 0, 0, 16);
        emit(BPF_ALU64 | BPF_AND | BPF_K, 8, 0, 0, 0xffff);
        emit(ADD(BPF_X), 8, 9, 0, 0);
    }
    emit(BPF_ALU64 | BPF_XOR | BPF_K, 8, 0, 0, 0xffff);
    emit(STORE(BPF_H), 2, 8, 40, 0);
    program[none].off = length - none - 1;
    emit_return(XDP_TX);
    emit_end(XDP_PASS);
}

static void by_program(unsigned flags) {
    emit_echo();
    union bpf_attr attributes = {.link_create = {.prog_fd = load_program(),
                                                 .target_ifindex = if_nametoindex("eth0"),
                                                 .attach_type = BPF_XDP,
                                                 .flags = flags}};
    expect("attach", bpf(BPF_LINK_CREATE, &attributes) >= 0);
    dprintf(1, "ready\n");
    for (;;) pause();
}

int main(int count, char **arguments) {
    const char *means = count > 1 ? arguments[1] : "sockets";
    if (strcmp(means, "native") == 0) by_program(XDP_FLAGS_DRV_MODE);
    if (strcmp(means, "generic") == 0) by_program(XDP_FLAGS_SKB_MODE);
    if (strcmp(means, "fifo") == 0) {
        use_policy(SCHED_FIFO);
        hurry_kernel();
    }
    by_socket();
}
