/* SPDX-License-Identifier: MIT */
/* What the machine does, seen from outside: a plugin of QEMU's emulator, for `exo trace` (observe.py) and `exo profile`.
 *
 * The emulator calls it for each block of instructions that is executed, for the kernel's accesses to memory, and, for
 * a profile, for what calls and returns do to stacks. The kernel needs no code for it: its ways in have symbols, a call's
 * number is the place of the entry that is read in its table of calls, who runs is told by the physical frame behind the
 * one address at which every address space has its kernel page, and what happened stands in the book-keeping that the
 * kernel does anyway. The guest executes the same instructions as without it.
 *
 * Time is in instructions, as the guest's time-stamp counter under `-icount shift=0`; an idle processor's time is read
 * from QEMU's own clock, wherever that function can be found, when the interrupt that ends it is acknowledged.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu_plugin.h"

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* Not part of the plugin interface: missing where QEMU exports nothing else. Virtual time is clock 1. */
extern int64_t qemu_clock_get_ns(int clock) __attribute__((weak));
#define VIRTUAL_CLOCK 1

/* ---- what observe.py tells us of the kernel: addresses, offsets, sizes */

#define SETTINGS(X)                                                                                                    \
    X(profile) X(capacity) X(memory) X(kernel_base) X(direct_map) X(kernel_page) X(environment_page) X(system_page)    \
    X(entries) X(floating_entries) X(exceptions) X(exception_bytes) X(system_call) X(floating_call) X(timer)           \
    X(device) X(lines) X(lines_bytes) X(line_bytes) X(floating) X(stray) X(idle) X(idle_bytes) X(idle_environment)     \
    X(user_limit) X(records) X(record_bytes) X(record_page) X(record_kernel_page) X(status) X(status_bytes)            \
    X(status_state) X(status_generation) X(name_bytes) X(context_ip) X(pending) X(event_entry) X(slice_start_entry)    \
    X(slice_end_entry) X(exception_ip) X(exception_address) X(counters) X(counters_bytes)

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

/* Causes of an entry into the kernel: an exception's vector, CALL + number, or one of these. */
enum { CALL = 256, UNKNOWN_CALL = CALL + 256, TIMER = 1024, DEVICE, FLOATING, STRAY, BOOT, OTHER, LINE = 2048 };

/* ---- the output of a trace: a ring in a file, whose reader may come after we were killed */

struct event {
    uint64_t time;
    uint16_t kind;
    uint16_t environment; /* which was the current one */
    uint32_t detail;
    uint64_t value;
};

enum { ENTER, LEAVE, SWITCH, UPCALL, FAULT, COUNT, POSTED };

struct name {
    uint64_t time;
    uint32_t environment, generation;
    char name[48];
};

enum { NAMES = 4096, NAMES_OFFSET = 4096, EVENTS_OFFSET = NAMES_OFFSET + NAMES * sizeof(struct name) };

struct header {
    uint64_t magic, capacity, written, names, names_lost, instructions, time, idle_is_timed;
};

static struct header own_header, *header = &own_header; /* a profile has no ring, but counts the same */
static struct name own_names[NAMES], *names = own_names;
static struct event *events;

/* ---- time */

static uint64_t count;     /* instructions begun: counted by the translated code itself */
static uint64_t undone;    /* of these, those that met a fault and will be executed again */
static uint64_t idle_time; /* that passed without instructions */
static uint64_t entered;   /* index of the event of the last interrupt, whose time is known when it is acknowledged */

static uint64_t now(void)
{
    return count - undone + idle_time;
}

/* The processor accesses a device: the one moment at which QEMU's clock may be read. */
static void synchronise(void)
{
    if (!qemu_clock_get_ns)
        return;
    uint64_t actual = (uint64_t)qemu_clock_get_ns(VIRTUAL_CLOCK), passed = actual - now();
    if (passed == 0)
        return;
    idle_time += passed;
    for (uint64_t i = entered; events && i < header->written; i++)
        events[i % capacity].time += passed;
}

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

static uint8_t *page_owner; /* by frame: 1 + the environment whose page it is */
static uint64_t current = ENVIRONMENTS, current_page;
static uint32_t new_root(uint64_t environment);

static void record(uint16_t kind, uint32_t detail, uint64_t value)
{
    if (!events)
        return;
    events[header->written % capacity] =
        (struct event){.time = now(), .kind = kind, .environment = current, .detail = detail, .value = value};
    header->written++;
}

/* Looks at the system page and the kernel's record of an environment: it may be another one of the same number. */
static void look_at(uint64_t environment)
{
    uint64_t status_at = system_page + status + environment * status_bytes;
    uint32_t generation = 1, state = 1;
    if (environment != idle_environment) {
        generation = (uint32_t)word(status_at + status_generation);
        state = (uint32_t)word(status_at + status_state);
    }
    if (known[environment].page / PAGE < memory / PAGE)
        page_owner[known[environment].page / PAGE] = 0;
    known[environment].page = record_frame(environment, record_page);
    if (state != 0 && known[environment].page / PAGE < memory / PAGE)
        page_owner[known[environment].page / PAGE] = 1 + environment;
    if (generation == known[environment].generation)
        return;
    known[environment].generation = generation;
    known[environment].root = 0;
    known[environment].cause = BOOT;
    if (header->names == NAMES) {
        header->names_lost++;
        return;
    }
    struct name *name = &names[header->names];
    *name = (struct name){.time = now(), .environment = environment, .generation = generation};
    if (environment == idle_environment)
        strcpy(name->name, "idle");
    else if (ram)
        memcpy(name->name, ram + status_at, name_bytes);
    known[environment].name = header->names++;
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
    record(SWITCH, environment, 0);
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
    if (address == system_call || address == floating_call)
        return UNKNOWN_CALL;
    if (address - lines < lines_bytes)
        return LINE + (uint32_t)((address - lines) / line_bytes);
    return address == timer      ? TIMER
           : address == device   ? DEVICE
           : address == floating ? FLOATING
           : address == stray    ? STRAY
                                 : OTHER;
}

static void enters(const struct block *block)
{
    uint32_t cause = cause_at(block->address);
    uint64_t ip = running->end;
    if (cause < CALL)
        ip = running->idles ? 0 : word(known[current].page + exception_ip);
    else if (cause != UNKNOWN_CALL)
        ip = word(current_page + context_ip);
    known[current].cause = cause;
    known[current].ip = ip;
    entered = header->written;
    record(ENTER, cause, ip);
    if (cause == 14)
        record(FAULT, cause, word(known[current].page + exception_address));
    if (!profile)
        return;
    known[current].inside = here;
    if (!running->idles)
        suspend(ip);
    if (cause < CALL || cause == UNKNOWN_CALL)
        here = child(here, cause < CALL ? ip : running->last_address);
    else
        here = kernel_root;
}

static void leaves(const struct block *block)
{
    record(LEAVE, 0, block->address);
    if (!profile)
        return;
    uint32_t cause = known[current].cause;
    if (block->idles || cause == BOOT)
        here = root_of_current();
    else if (!resume(block->address))
        here = cause == UNKNOWN_CALL ? root_of_current() : child(known[current].inside, known[current].ip);
    known[current].cause = BOOT;
}

/* A block begins: what the one before has done is known now. */
static void begins(unsigned vcpu, void *userdata)
{
    (void)vcpu;
    struct block *block = userdata;
    uint64_t done = count - mark;
    uint32_t cause = block->high ? cause_at(block->address) : OTHER;
    if (cause < CALL && done != 0 && cause != 3 && cause != 6 && cause != 7) {
        /* A fault: the last instruction that was begun is not done. (Those that are wrong by themselves count.) */
        uint64_t ip = word(known[current].page + exception_ip);
        if (running->high || (ip >= running->address && ip < running->end)) {
            done--;
            undone++;
        }
    }
    if (profile && done)
        count_block(done);
    bool was_outside = !running->high || running->idles;
    bool is_outside = !block->high || block->idles;
    if (!booted) {
        if (block->high) {
            booted = true;
            look_at(idle_environment);
            record(ENTER, BOOT, 0);
        }
    } else if (was_outside && !is_outside) {
        enters(block);
    } else if (!was_outside && is_outside) {
        leaves(block);
    } else if (profile && expected_return && expected_return != block->address && !block->high) {
        here = root_of_current();
    } else if (profile && running->last == CONTINUES && !block->high && done == running->length) {
        if (!resume(block->address))
            here = root_of_current();
    }
    expected_return = 0;
    began = here;
    mark = count;
    running = block;
    header->time = now();
}

static void kernel_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata)
{
    (void)vcpu, (void)userdata;
    struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);
    if (!place)
        return;
    if (qemu_plugin_hwaddr_is_io(place)) {
        synchronise();
        return;
    }
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(place);
    if (address - kernel_page < PAGE && (physical & -PAGE) != current_page)
        becomes_current(physical & -PAGE);
    if (!qemu_plugin_mem_is_store(info)) {
        uint64_t number = (address - entries) / 8;
        if (number >= 256)
            number = (address - floating_entries) / 8;
        if (number < 256 && events && header->written) {
            struct event *last = &events[(header->written - 1) % capacity];
            if (last->kind == ENTER && last->detail == UNKNOWN_CALL)
                last->detail = CALL + number;
        }
        return;
    }
    if (physical - system_page < PAGE) {
        uint64_t offset = physical - system_page;
        if (offset - status < ENVIRONMENTS * status_bytes)
            look_at((offset - status) / status_bytes);
        else if (offset - counters < counters_bytes)
            record(COUNT, (offset - counters) / 8, word(physical));
    } else if (events && physical / PAGE < memory / PAGE && page_owner[physical / PAGE]) {
        uint64_t owner = page_owner[physical / PAGE] - 1, offset = physical % PAGE;
        if (offset == pending)
            record(POSTED, owner, word(physical));
        else if (offset == event_entry || offset == slice_start_entry || offset == slice_end_entry)
            record(UPCALL, owner, offset);
    }
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
    if (profile) {
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
        if (profile && i + 1 == block->length && (block->last == CALLS || block->last == RETURNS))
            qemu_plugin_register_vcpu_mem_cb(insn, stack_changes, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, block);
    }
}

/* ---- beginning and end */

static void write_profile(void)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    fprintf(file, "total %lu\ncut %lu\n", count - undone, cut + header->names_lost);
    for (uint64_t i = 0; i < header->names; i++)
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
    if (profile && count - mark)
        count_block(count - mark);
    header->instructions = count - undone;
    header->time = now();
    header->idle_is_timed = qemu_clock_get_ns != NULL;
    if (profile)
        write_profile();
}

static bool make_ring(void)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    uint64_t bytes = EVENTS_OFFSET + capacity * sizeof(struct event);
    if (file < 0 || ftruncate(file, bytes) != 0)
        return false;
    uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED)
        return false;
    header = (struct header *)map;
    names = (struct name *)(map + NAMES_OFFSET);
    events = (struct event *)(map + EVENTS_OFFSET);
    *header = (struct header){.magic = 0x4543415254535841, .capacity = capacity};
    header->idle_is_timed = qemu_clock_get_ns != NULL;
    return true;
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
    page_owner = calloc(memory / PAGE + 1, 1);
    if (!path || !page_owner || idle_environment > ENVIRONMENTS || (!profile && !make_ring())) {
        fprintf(stderr, "observe: cannot begin\n");
        return 1;
    }
    current = idle_environment;
    new_node(0, KERNEL_ROOT, 0); /* node 0 stands for none, too: what the boot does is the kernel's */
    kernel_root = 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
