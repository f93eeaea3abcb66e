/* SPDX-License-Identifier: MIT */
/* Counts what instruction counts hide: how often the guest enters its kernel, loads a page table's address, and flushes
 * the TLB. operations.py says what each of them means; the program in the guest says by markers what is counted.
 *
 * Settings: out=FILE, which gets a line for each region, `region ENTRIES SWITCHES FLUSHES INVALIDATIONS`, and `row` after
 * the regions of a row. One processor only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qemu_plugin.h"

PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* The markers: nop dword ptr [rax + rax + MARKER], which no compiler writes. */
static const uint8_t marker_head[] = {0x0f, 0x1f, 0x84, 0x00};
enum { MARKER_BEGIN = 0x0e4f5801, MARKER_END, MARKER_ROW };

enum { READ_TABLE, LOAD_TABLE, FLUSH, INVALIDATION, BEGIN, END, ROW };

static struct {
    uint64_t entries, switches, flushes, invalidations;
} now, start;
static bool in_kernel, in_region;
static void *behind_read; /* address of the instruction behind the last that read cr3 */
static FILE *out;

static void in_user_half(unsigned vcpu, void *unused) {
    (void)vcpu, (void)unused;
    in_kernel = false;
}

static void in_kernel_half(unsigned vcpu, void *unused) {
    (void)vcpu, (void)unused;
    now.entries += !in_kernel;
    in_kernel = true;
}

static void table_read(unsigned vcpu, void *next) {
    (void)vcpu;
    behind_read = next;
}

/* Loading cr3 flushes too: this processor has no PCID. Who has just read it loads the same again, to flush. */
static void table_loaded(unsigned vcpu, void *address) {
    (void)vcpu;
    now.switches += address != behind_read;
    now.flushes++;
}

static void executed(unsigned vcpu, void *what) {
    (void)vcpu;
    switch ((intptr_t)what) {
    case FLUSH:
        now.flushes++;
        break;
    case INVALIDATION:
        now.invalidations++;
        break;
    case BEGIN: /* a region that is begun again has not been ended, and does not count */
        start = now;
        in_region = true;
        break;
    case END:
        if (in_region)
            fprintf(out, "region %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now.entries - start.entries,
                    now.switches - start.switches, now.flushes - start.flushes,
                    now.invalidations - start.invalidations);
        in_region = false;
        break;
    case ROW:
        fprintf(out, "row\n");
        fflush(out);
        break;
    }
}

/* What an instruction does that is counted; -1 for nothing (Intel SDM volume 2: MOV to control registers, INVLPG, INVPCID). */
static intptr_t kind_of(const uint8_t *code, size_t size) {
    if (size == 8 && !memcmp(code, marker_head, sizeof marker_head)) {
        uint32_t marker;
        memcpy(&marker, code + sizeof marker_head, sizeof marker);
        return marker == MARKER_BEGIN ? BEGIN : marker == MARKER_END ? END : marker == MARKER_ROW ? ROW : -1;
    }
    bool operand = false;
    while (size > 3 && (*code == 0x66 || (*code & 0xf0) == 0x40)) { /* operand size, REX */
        operand |= *code == 0x66;
        code++, size--;
    }
    if (size < 3 || code[0] != 0x0f)
        return -1;
    unsigned reg = code[2] >> 3 & 7;
    if (code[1] == 0x20)
        return reg == 3 ? READ_TABLE : -1;
    if (code[1] == 0x22)
        return reg == 3 ? LOAD_TABLE : reg == 4 ? FLUSH : -1;
    if (code[1] == 0x01 && reg == 7 && code[2] < 0xc0)
        return INVALIDATION;
    if (operand && code[1] == 0x38 && code[2] == 0x82)
        return FLUSH;
    return -1;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    bool high = qemu_plugin_tb_vaddr(tb) >> 63;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, high ? in_kernel_half : in_user_half, QEMU_PLUGIN_CB_NO_REGS, NULL);
    for (size_t i = 0, count = qemu_plugin_tb_n_insns(tb); i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        size_t size = qemu_plugin_insn_size(instruction);
        intptr_t kind = kind_of(qemu_plugin_insn_data(instruction), size);
        void *address = (void *)qemu_plugin_insn_vaddr(instruction);
        if (kind == READ_TABLE)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, table_read, QEMU_PLUGIN_CB_NO_REGS, address + size);
        else if (kind == LOAD_TABLE)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, table_loaded, QEMU_PLUGIN_CB_NO_REGS, address);
        else if (kind >= 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, QEMU_PLUGIN_CB_NO_REGS, (void *)kind);
    }
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
