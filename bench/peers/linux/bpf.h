// SPDX-License-Identifier: MIT
// Programs of eBPF, written instruction by instruction, so that nothing but a C compiler is needed.
#include <linux/bpf.h>
#include <stddef.h>

static struct bpf_insn program[4096];
static int length;

static inline long bpf(int command, union bpf_attr *attributes) {
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

// The place of the instruction.
static inline int emit(int code, int destination, int source, int offset, int value) {
    program[length] =
        (struct bpf_insn){.code = code, .dst_reg = destination, .src_reg = source, .off = offset, .imm = value};
    return length++;
}

#define LOAD(size) (BPF_LDX | BPF_MEM | size)
#define STORE(size) (BPF_STX | BPF_MEM | size)
#define MOVE(source) (BPF_ALU64 | BPF_MOV | source)
#define ADD(source) (BPF_ALU64 | BPF_ADD | source)

static int misses[16], missed;  // jumps to the end

static inline void unless(int register_number, int value) {
    misses[missed++] = emit(BPF_JMP | BPF_JNE | BPF_K, register_number, 0, 0, value);
}

// Begins a program: r2 is the frame, r3 its end, r4 `needed` bytes behind its start, which must not be behind its end.
static inline void emit_start(int needed) {
    length = missed = 0;
    emit(LOAD(BPF_W), 2, 1, offsetof(struct xdp_md, data), 0);
    emit(LOAD(BPF_W), 3, 1, offsetof(struct xdp_md, data_end), 0);
    emit(MOVE(BPF_X), 4, 2, 0, 0);
    emit(ADD(BPF_K), 4, 0, 0, needed);
    misses[missed++] = emit(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 0, 0);
}

static inline void emit_return(int value) {
    emit(MOVE(BPF_K), 0, 0, 0, value);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

// Ends a program: what all misses return.
static inline void emit_end(int value) {
    for (int i = 0; i < missed; i++) program[misses[i]].off = length - misses[i] - 1;
    emit_return(value);
}

static inline int load_program(void) {
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_XDP, .insns = (u64)program, .insn_cnt = length, .license = (u64) "MIT"};
    int found = bpf(BPF_PROG_LOAD, &attributes);
    expect("the kernel takes the program", found >= 0);
    return found;
}
