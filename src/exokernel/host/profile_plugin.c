/* SPDX-License-Identifier: MIT */
/* Where the machine's instructions go, seen from outside: a plugin of QEMU's emulator, for `exo profile` (profile_plugin.py).
 *
 * The emulator calls it for each block of instructions that is executed, for the kernel's accesses to memory, and for
 * what calls and returns do to stacks. The kernel needs no code for it: its ways in have symbols, and who runs is told by
 * the physical frame behind the one address at which every address space has its kernel page. The guest executes the same
 * instructions as without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* ---- what profile_plugin.py tells us of the kernel: addresses, offsets, sizes */

#define SETTINGS(X)                                                                                                    \
    X(memory) X(kernel_base) X(direct_map) X(kernel_page) X(system_page) X(exceptions) X(exception_bytes) X(system_call)\
    X(floating_call) X(idle) X(idle_bytes) X(idle_environment) X(user_limit) X(records) X(record_bytes) X(record_page)  \
    X(record_kernel_page) X(status) X(status_bytes) X(status_generation) X(name_bytes) X(context_ip) X(exception_ip)

#define DECLARE(name) static uint64_t name;
SETTINGS(DECLARE)
static const char *path;

static struct {
    const char *name;
    uint64_t *value;
} settings[] = {
#define ENTRY(name) {#name, &name},
    SETTINGS(ENTRY)};

enum { PAGE = 4096, ENVIRONMENTS = 64, EXCEPTIONS = 32 };

/* Causes of an entry into the kernel: an exception's vector, or one of these. */
enum { SYSTEM_CALL = 256, INTERRUPT, BOOT };

static uint64_t count;  /* instructions begun: counted by the translated code itself */
static uint64_t undone; /* of these, those that met a fault and will be executed again */

/* Of each environment that there was: a number can be used again. */
enum { NAMES = 4096 };

static struct name {
    uint32_t environment;
    char name[48];
} names[NAMES];
static uint32_t name_count, unnamed;

/* ---- the guest's memory */

static uint8_t *ram; /* the byte at physical address 0 */

static uint64_t word(uint64_t physical)
{
    uint64_t value = 0;
    if (ram && physical < memory && memory - physical >= 8)
        memcpy(&value, ram + physical, 8);
    return value;
}

static uint64_t record_frame(uint64_t environment, uint64_t offset)
{
    return word(records - kernel_base + environment * record_bytes + offset) - direct_map;
}

/* ---- environments */

static struct {
    uint32_t generation;
    uint32_t name;         /* index in `names` */
    uint64_t page;         /* physical address of its environment page */
    uint32_t root, inside; /* nodes of its stacks: none; where it last entered the kernel */
    uint64_t ip;           /* and at which instruction */
    uint32_t cause;
} known[ENVIRONMENTS + 1];

static uint64_t current = ENVIRONMENTS, current_page;
static uint32_t new_root(uint64_t environment);

/* Looks at the system page and the kernel's record of an environment: it may be another one of the same number. */
static void look_at(uint64_t environment)
{
    uint64_t status_at = system_page + status + environment * status_bytes;
    uint32_t generation = environment == idle_environment ? 1 : (uint32_t)word(status_at + status_generation);
    known[environment].page = record_frame(environment, record_page);
    if (generation == known[environment].generation)
        return;
    known[environment].generation = generation;
    known[environment].root = 0;
    known[environment].cause = BOOT;
    if (name_count == NAMES) {
        unnamed++;
        return;
    }
    struct name *name = &names[name_count];
    *name = (struct name){.environment = environment};
    if (environment == idle_environment)
        strcpy(name->name, "idle");
    else if (ram)
        memcpy(name->name, ram + status_at, name_bytes);
    known[environment].name = name_count++;
}

static void becomes_current(uint64_t kernel_page_frame)
{
    uint64_t environment = word(kernel_page_frame);
    if (environment > idle_environment || record_frame(environment, record_kernel_page) != kernel_page_frame)
        return; /* not yet made */
    current_page = kernel_page_frame;
    if (environment == current)
        return;
    if (known[environment].generation == 0)
        look_at(environment);
    current = environment;
}

/* ---- tables that grow */

struct table {
    struct slot {
        uint64_t first, second; /* the key; first is never 0 */
        uint64_t value, other;
    } *slots;
    uint64_t size, used;
};

static struct slot *place(struct table *table, uint64_t first, uint64_t second)
{
    if (table->used * 2 >= table->size) {
        struct table larger = {.size = table->size ? table->size * 4 : 4096};
        larger.slots = calloc(larger.size, sizeof(struct slot));
        if (!larger.slots)
            abort();
        for (uint64_t i = 0; i < table->size; i++)
            if (table->slots[i].first)
                *place(&larger, table->slots[i].first, table->slots[i].second) = table->slots[i];
        free(table->slots);
        table->slots = larger.slots;
        table->size = larger.size;
    }
    uint64_t hash = (first * 0x9e3779b97f4a7c15 ^ second) * 0xff51afd7ed558ccd;
    for (uint64_t i = hash >> 20;; i++) {
        struct slot *slot = &table->slots[i & (table->size - 1)];
        if (slot->first == first && slot->second == second)
            return slot;
        if (slot->first == 0) {
            table->used++;
            *slot = (struct slot){.first = first, .second = second};
            return slot;
        }
    }
}

/* ---- blocks of instructions */

enum last { FALLS, CALLS, RETURNS, CONTINUES };

struct block {
    uint64_t address, end, last_address;
    uint32_t index, length;
    uint8_t high, idles, last;
    char *text; /* for the output: the lengths of its instructions, and its bytes */
};

static struct block **blocks;
static uint32_t block_count;
static struct table block_places;

static struct block boot_block;
static struct block *running = &boot_block; /* the block that was begun last */
static uint64_t mark;                       /* `count` at its beginning */
static bool booted;

/* ---- profiles: a node is a stack, as a chain of the places from where was called */

struct node {
    uint32_t parent;
    uint32_t name; /* of a root: index in `names`, or one of these */
    uint64_t site;
};

enum { NOT_A_ROOT = 0xffffffff, KERNEL_ROOT = 0xfffffffe, NODE_LIMIT = 1 << 22 };

static struct node *nodes;
static uint32_t node_count, here, began, kernel_root; /* `began`: where the running block began */
static struct table children, return_places, resume_places, counts;
static uint64_t expected_return;
static uint64_t cut; /* instructions' stacks that were cut, for want of nodes */

static uint32_t new_node(uint32_t parent, uint32_t name, uint64_t site)
{
    static uint32_t room;
    if (node_count == room) {
        room = room ? room * 2 : 4096;
        nodes = realloc(nodes, room * sizeof(struct node));
        if (!nodes)
            abort();
    }
    nodes[node_count] = (struct node){parent, name, site};
    return node_count++;
}

static uint32_t new_root(uint64_t environment)
{
    return known[environment].root = new_node(0, known[environment].name, 0);
}

static uint32_t root_of_current(void)
{
    return known[current].root ? known[current].root : new_root(current);
}

static uint32_t child(uint32_t parent, uint64_t site)
{
    struct slot *slot = place(&children, (uint64_t)parent + 1, site);
    if (slot->value == 0) {
        if (node_count >= NODE_LIMIT) {
            cut++;
            return parent;
        }
        slot->value = new_node(parent, NOT_A_ROOT, site);
    }
    return (uint32_t)slot->value;
}

/* Keys for addresses: in the current address space, or in the kernel's half, which is the same in all. */
static uint64_t own_space(void)
{
    return 2 + current + ((uint64_t)known[current].generation << 8);
}

static uint64_t space_of(const struct block *block)
{
    return block->high ? 1 : own_space();
}

static void stack_changes(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata)
{
    (void)vcpu;
    struct block *block = userdata;
    bool is_store = qemu_plugin_mem_is_store(info);
    /* QEMU reports with the last instruction what an interrupt behind it reads and writes: that is above USER_LIMIT. */
    if (!booted || is_store != (block->last == CALLS) || (!block->high && address >= user_limit))
        return;
    struct slot *slot = place(&return_places, space_of(block), address);
    if (is_store) {
        *slot = (struct slot){slot->first, slot->second, here, block->end};
        here = child(here, block->last_address);
    } else if (slot->other) {
        here = slot->value;
        expected_return = slot->other;
    } else if (!block->high) {
        here = root_of_current();
    }
}

/* Where applications were interrupted, or called the kernel, and on which stack. Several threads may have been at the
 * same instruction: the last one is taken to go on first, which the next return puts right if it is not so.
 */
static struct suspended {
    uint32_t node, next;
} *suspended;
static uint32_t suspended_count, suspended_free; /* 0: none, as in the slots */

static void suspend(uint64_t address)
{
    uint32_t index = suspended_free;
    if (index) {
        suspended_free = suspended[index].next;
    } else {
        static uint32_t room;
        index = ++suspended_count;
        if (index >= room) {
            room = room ? room * 2 : 1024;
            suspended = realloc(suspended, room * sizeof(struct suspended));
            if (!suspended)
                abort();
        }
    }
    struct slot *slot = place(&resume_places, own_space(), address);
    suspended[index] = (struct suspended){here, slot->value};
    slot->value = index;
}

/* An instruction of the application that was interrupted is executed again: its stack is known. */
static bool resume(uint64_t address)
{
    struct slot *slot = place(&resume_places, own_space(), address);
    uint32_t index = slot->value;
    if (index == 0)
        return false;
    here = suspended[index].node;
    slot->value = suspended[index].next;
    suspended[index].next = suspended_free;
    suspended_free = index;
    return true;
}

static void count_block(uint64_t done)
{
    uint64_t key = (uint64_t)began << 32 | running->index;
    place(&counts, key + 1, done)->value++;
}

/* ---- ways in and out */

static uint32_t cause_at(uint64_t address)
{
    if (address - exceptions < EXCEPTIONS * exception_bytes)
        return (uint32_t)((address - exceptions) / exception_bytes);
    return address == system_call || address == floating_call ? SYSTEM_CALL : INTERRUPT;
}

static void enters(const struct block *block)
{
    uint32_t cause = cause_at(block->address);
    uint64_t ip = running->end;
    if (cause < SYSTEM_CALL)
        ip = running->idles ? 0 : word(known[current].page + exception_ip);
    else if (cause == INTERRUPT)
        ip = word(current_page + context_ip);
    known[current].cause = cause;
    known[current].ip = ip;
    known[current].inside = here;
    if (!running->idles)
        suspend(ip);
    here = cause == INTERRUPT ? kernel_root : child(here, cause < SYSTEM_CALL ? ip : running->last_address);
}

static void leaves(const struct block *block)
{
    uint32_t cause = known[current].cause;
    if (block->idles || cause == BOOT)
        here = root_of_current();
    else if (!resume(block->address))
        here = cause == SYSTEM_CALL ? root_of_current() : child(known[current].inside, known[current].ip);
    known[current].cause = BOOT;
}

/* A block begins: what the one before has done is known now. */
static void begins(unsigned vcpu, void *userdata)
{
    (void)vcpu;
    struct block *block = userdata;
    uint64_t done = count - mark;
    uint32_t cause = block->high ? cause_at(block->address) : INTERRUPT;
    if (cause < SYSTEM_CALL && done != 0 && cause != 3 && cause != 6 && cause != 7) {
        /* A fault: the last instruction that was begun is not done. (Those that are wrong by themselves count.) */
        uint64_t ip = word(known[current].page + exception_ip);
        if (running->high || (ip >= running->address && ip < running->end)) {
            done--;
            undone++;
        }
    }
    if (done)
        count_block(done);
    bool was_outside = !running->high || running->idles;
    bool is_outside = !block->high || block->idles;
    if (!booted) {
        if (block->high) {
            booted = true;
            look_at(idle_environment);
        }
    } else if (was_outside && !is_outside) {
        enters(block);
    } else if (!was_outside && is_outside) {
        leaves(block);
    } else if (expected_return && expected_return != block->address && !block->high) {
        here = root_of_current();
    } else if (running->last == CONTINUES && !block->high && done == running->length) {
        if (!resume(block->address))
            here = root_of_current();
    }
    expected_return = 0;
    began = here;
    mark = count;
    running = block;
}

static void kernel_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata)
{
    (void)vcpu, (void)userdata;
    struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);
    if (!place)
        return;
    if (qemu_plugin_hwaddr_is_io(place))
        return;
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(place);
    if (address - kernel_page < PAGE && (physical & -PAGE) != current_page)
        becomes_current(physical & -PAGE);
    uint64_t offset = physical - system_page - status;
    if (qemu_plugin_mem_is_store(info) && offset < ENVIRONMENTS * status_bytes)
        look_at(offset / status_bytes);
}

/* ---- translation */

static enum last kind_of(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at + 1 < size && (bytes[at] == 0x66 || bytes[at] == 0xf2 || bytes[at] == 0xf3 || (bytes[at] & 0xf0) == 0x40))
        at++;
    if (bytes[at] == 0xe8)
        return CALLS;
    if (bytes[at] == 0xc3 || bytes[at] == 0xc2)
        return RETURNS;
    if (bytes[at] == 0xff && at + 1 < size && (bytes[at + 1] >> 3 & 7) == 2)
        return CALLS;
    if (bytes[at] == 0xff && at + 2 < size && bytes[at + 1] == 0x24 && bytes[at + 2] == 0x25)
        return CONTINUES; /* jmp [address]: so contexts are continued, without a stack */
    return FALLS;
}

/* The block of these instructions at this address, which may have been translated before. */
static struct block *block_of(struct qemu_plugin_tb *tb)
{
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block block = {.address = qemu_plugin_tb_vaddr(tb), .length = length};
    uint64_t hash = length;
    for (size_t i = 0; i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        for (size_t j = 0; j < size; j++)
            hash = (hash ^ bytes[j]) * 0x100000001b3;
        hash = (hash ^ size) * 0x100000001b3;
        block.last_address = qemu_plugin_insn_vaddr(insn);
        block.end = block.last_address + size;
        block.last = kind_of(bytes, size);
        if (!ram && block.last_address - kernel_base - 0x200000 < 0x200000 && qemu_plugin_insn_haddr(insn))
            ram = (uint8_t *)qemu_plugin_insn_haddr(insn) - (block.last_address - kernel_base);
    }
    struct slot *slot = place(&block_places, block.address + 1, hash);
    if (slot->value)
        return blocks[slot->value];
    block.high = block.address >> 63;
    block.idles = block.address - idle < idle_bytes;
    char *text = block.text = malloc(length * 40 + 8);
    if (!text)
        abort();
    for (size_t i = 0; i < length; i++)
        text += sprintf(text, "%zx", qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i)));
    *text++ = ' ';
    for (size_t i = 0; i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        for (size_t j = 0; j < qemu_plugin_insn_size(insn); j++)
            text += sprintf(text, "%02x", bytes[j]);
    }
    static uint32_t room;
    if (block_count == room) {
        room = room ? room * 2 : 1024;
        blocks = realloc(blocks, room * sizeof(struct block *));
        if (!blocks)
            abort();
    }
    block.index = block_count++;
    slot->value = block.index;
    blocks[block.index] = malloc(sizeof(struct block));
    if (!blocks[block.index])
        abort();
    *blocks[block.index] = block;
    return blocks[block.index];
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *block = block_of(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, begins, QEMU_PLUGIN_CB_NO_REGS, block);
    for (size_t i = 0; i < block->length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &count, 1);
        if (block->high)
            qemu_plugin_register_vcpu_mem_cb(insn, kernel_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        if (i + 1 == block->length && (block->last == CALLS || block->last == RETURNS))
            qemu_plugin_register_vcpu_mem_cb(insn, stack_changes, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, block);
    }
}

/* ---- beginning and end */

static void write_profile(void)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    fprintf(file, "total %lu\ncut %lu\n", count - undone, cut + unnamed);
    for (uint64_t i = 0; i < name_count; i++)
        fprintf(file, "name %lu %u %s\n", i, names[i].environment, names[i].name);
    for (uint32_t i = 0; i < node_count; i++)
        fprintf(file, "node %u %u %u %lx\n", i, nodes[i].parent, nodes[i].name, nodes[i].site);
    for (uint32_t i = 0; i < block_count; i++)
        fprintf(file, "block %u %lx %s\n", i, blocks[i]->address, blocks[i]->text ? blocks[i]->text : "0 00");
    for (uint64_t i = 0; i < counts.size; i++) {
        struct slot *slot = &counts.slots[i];
        if (slot->first) {
            uint64_t key = slot->first - 1;
            fprintf(file, "count %lu %lu %lu %lu\n", key >> 32, key & 0xffffffff, slot->second, slot->value);
        }
    }
    fputs("end\n", file);
    fclose(file);
}

static void ended(qemu_plugin_id_t id, void *nothing)
{
    (void)id, (void)nothing;
    if (count - mark)
        count_block(count - mark);
    write_profile();
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (!info->system_emulation)
        return 1;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return 1;
        *value++ = 0;
        if (strcmp(argv[i], "out") == 0)
            path = value;
        for (size_t j = 0; j < sizeof settings / sizeof *settings; j++)
            if (strcmp(argv[i], settings[j].name) == 0)
                *settings[j].value = strtoull(value, NULL, 0);
    }
    if (!path || idle_environment > ENVIRONMENTS) {
        fprintf(stderr, "profile: cannot begin\n");
        return 1;
    }
    current = idle_environment;
    new_node(0, KERNEL_ROOT, 0); /* node 0 stands for none, too: what the boot does is the kernel's */
    kernel_root = 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
