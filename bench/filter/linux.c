// SPDX-License-Identifier: MIT
// The rows of this exhibit on Linux: a program of eBPF that asks the same of a frame, translated by the kernel and run by
// it many times in one call (BPF_PROG_TEST_RUN), less a program that returns at once. It finds the flow in a hash table of
// the kernel's, or by comparing with one after the other. `insert` is a new element of the table.
#include "measure.h"

#include "bpf.h"

#define FLOWS 500
#define TURNS 1000
#define LENGTH 60

static uint32_t source_of(u64 number) { return (number + 1) * 6364136223846793005 >> 29; }
static uint16_t port_of(u64 number) { return 1024 + (number * 40503 >> 3) % 60000; }

// ---- the frame, as classify.py writes it

static unsigned char frame[LENGTH];

static void write_frame(u64 number) {
    static const unsigned char header[38] = {[12] = 8,    [14] = 0x45, [17] = 0x28, [20] = 0x40, [22] = 0x40, [23] = 6,
                                             [30] = 10,   [33] = 2,    [37] = 80};
    uint32_t source = source_of(number);
    memcpy(frame, header, sizeof header);
    for (int i = 0; i < 4; i++) frame[26 + i] = source >> (24 - 8 * i);
    frame[34] = port_of(number) >> 8;
    frame[35] = port_of(number);
}

static uint32_t word_at(int offset) {
    uint32_t word;
    memcpy(&word, frame + offset, 4);
    return word;
}

// ---- the programs

// IPv4 with a header of any length, TCP, the first fragment; then r8 is the source, r9 both ports, r7 the destination.
// Fields are compared as they lie in memory.
static void emit_header(void) {
    emit_start(34);
    emit(LOAD(BPF_H), 5, 2, 12, 0);
    unless(5, 0x0008);
    emit(LOAD(BPF_B), 5, 2, 23, 0);
    unless(5, 6);
    emit(LOAD(BPF_H), 5, 2, 20, 0);
    emit(BPF_ALU64 | BPF_AND | BPF_K, 5, 0, 0, 0xff1f);
    unless(5, 0);
    emit(LOAD(BPF_B), 5, 2, 14, 0);
    emit(MOVE(BPF_X), 6, 5, 0, 0);
    emit(BPF_ALU64 | BPF_RSH | BPF_K, 6, 0, 0, 4);
    unless(6, 4);
    emit(BPF_ALU64 | BPF_AND | BPF_K, 5, 0, 0, 15);
    emit(BPF_ALU64 | BPF_LSH | BPF_K, 5, 0, 0, 2);
    emit(LOAD(BPF_W), 8, 2, 26, 0);
    emit(LOAD(BPF_W), 7, 2, 30, 0);
    emit(ADD(BPF_X), 2, 5, 0, 0);
    emit(MOVE(BPF_X), 4, 2, 0, 0);
    emit(ADD(BPF_K), 4, 0, 0, 18);
    misses[missed++] = emit(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 0, 0);
    emit(LOAD(BPF_W), 9, 2, 14, 0);
}

static void emit_lookup(int table) {
    emit_header();
    emit(STORE(BPF_W), 10, 8, -12, 0);
    emit(STORE(BPF_W), 10, 7, -8, 0);
    emit(STORE(BPF_W), 10, 9, -4, 0);
    emit(MOVE(BPF_X), 2, 10, 0, 0);
    emit(ADD(BPF_K), 2, 0, 0, -12);
    emit(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, table);
    emit(0, 0, 0, 0, 0);
    emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
    misses[missed++] = emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, 0);
    emit(LOAD(BPF_W), 0, 0, 0, 0);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    emit_end(-1);
}

// What all flows have in common is asked once.
static void emit_chain(int flows) {
    emit_header();
    write_frame(0);
    misses[missed++] = emit(BPF_JMP32 | BPF_JNE | BPF_K, 7, 0, 0, word_at(30));
    for (int flow = 0; flow < flows; flow++) {
        write_frame(flow);
        emit(BPF_JMP32 | BPF_JNE | BPF_K, 8, 0, 3, word_at(26));
        emit(BPF_JMP32 | BPF_JNE | BPF_K, 9, 0, 2, word_at(34));
        emit_return(flow);
    }
    emit_end(-1);
}

// ---- the rows

// Nanoseconds of one run, which are instructions, as the kernel measures TURNS of them. The call takes longer: it waits
// until nobody runs what it replaces.
static u64 time_of(int loaded, uint32_t answer) {
    unsigned char out[256];
    union bpf_attr attributes = {.test = {.prog_fd = loaded,
                                          .data_in = (u64)frame,
                                          .data_size_in = LENGTH,
                                          .data_out = (u64)out,
                                          .data_size_out = sizeof out,
                                          .repeat = TURNS}};
    expect("run", bpf(BPF_PROG_TEST_RUN, &attributes) == 0);
    expect("the answer", attributes.test.retval == answer);
    return attributes.test.duration;
}

static u64 empty;

static void classify(int flows, const char *variant) {
    char row[32];
    int loaded = load_program();
    pause_before_row();
    for (int i = -WARM; i < SAMPLES; i++) {
        int flow = (i < 0 ? 0 : i) * flows / SAMPLES;
        write_frame(flow);
        u64 took = time_of(loaded, flow) - empty;
        if (i >= 0) samples[i] = took;
    }
    snprintf(row, sizeof row, "classify-%d", flows);
    report_as(row, variant, "ns", 1, SAMPLES);
    write_frame(FLOWS);
    time_of(loaded, -1);  // no flow's
    close(loaded);
}

static void insert(int table, uint32_t number) {
    write_frame(number);
    uint32_t key[3] = {word_at(26), word_at(30), word_at(34)};
    union bpf_attr attributes = {.map_fd = table, .key = (u64)key, .value = (u64)&number};
    pause_before_row();
    u64 before = now();
    long error = bpf(BPF_MAP_UPDATE_ELEM, &attributes);
    samples[0] = now() - before - nothing;
    expect("insert", error == 0);
}

int main(void) {
    start_measuring();
    length = 0;
    emit_return(0);
    int loaded = load_program();
    empty = ~0ul;
    for (int i = 0; i < SAMPLES; i++) {
        u64 took = time_of(loaded, 0);
        if (took < empty) empty = took;
    }
    static const int sizes[] = {10, FLOWS};
    for (int i = 0; i < 2; i++) {
        char row[32];
        union bpf_attr attributes = {
            .map_type = BPF_MAP_TYPE_HASH, .key_size = 12, .value_size = 4, .max_entries = sizes[i]};
        int table = bpf(BPF_MAP_CREATE, &attributes);
        expect("table", table >= 0);
        for (int flow = 0; flow < sizes[i]; flow++) insert(table, flow);
        snprintf(row, sizeof row, "insert-%d", sizes[i]);
        report_some(row, "eBPF hash table", 1, 1);
        emit_lookup(table);
        classify(sizes[i], "eBPF hash table");
        emit_chain(sizes[i]);
        classify(sizes[i], "eBPF, one after the other");
    }
    return 0;
}
