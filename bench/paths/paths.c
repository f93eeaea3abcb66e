// SPDX-License-Identifier: MIT
// The ten paths of paths.py in C: the same algorithms on the same data, without bounds checks. See exhibit.py.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;
typedef _Bool boolean;

void *memcpy(void *, const void *, u64);
int memcmp(const void *, const void *, u64);

#define ENVIRONMENTS 64
#define SLICES 64
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))

// ---- what both look at

struct frame_entry {
    u32 next, previous;
    u16 owner, kind;
    u32 page, generation, bindings, pins, flags;
};

struct environment_status {
    char name[32];
    volatile u32 state, frames, generation, status;
};

struct system_page {
    volatile u64 timestamp_frequency, slice_ticks, frames, frames_free;
    volatile u32 network_present;
    u8 mac[12];
    volatile u64 network[10], events[6];
    volatile u8 slice_owners[SLICES];
    volatile u32 slice_generations[SLICES], excess[ENVIRONMENTS];
    struct environment_status environments[ENVIRONMENTS];
};

struct registers {
    u64 all[15];
};

struct context {
    struct registers registers;
    u64 ip, cs, flags, sp, ss;
};

struct exception_frame {
    u64 all[9];
};

struct environment_page {
    volatile u32 exception_entry, event_entry;
    volatile u64 pending, masked, identifier;
    char name[32];
    volatile u32 slice_start_entry, slice_end_entry;
    u8 rest[4096 - 3 * 72 - 160 - 72];
    volatile struct context saved;
    volatile struct exception_frame slice_end_frame, event_frame, exception_frame;
};

struct kernel_page {
    u64 identifier, user_stack, user_ip, yielded_ip, yielded_sp;
    u8 caller, callee, aside, keyed;
    u32 floating;
    u64 unmapped, scratch;
    u8 floating_state[1024];
    struct context resting;
    u64 key_rights, ring, frames;
    u8 unused[4096 - 88 - 1024 - 2 * 160];
    struct context context;
};

struct record {
    u64 root, directory, nodes, bindings, guaranteed, pinned;
    struct environment_page *page;
    struct kernel_page *kernel_page;
    u64 positions, deadline, creator, bound, bound_at;
};

struct step {
    u64 field;
    u32 value;
};

struct filter {
    struct step steps[16];
    u32 count;
    boolean taken;
    u32 owner;
};

struct filters {
    struct filter filters[512];
    u16 order[512];
    u64 count;
};

struct request {
    u8 method;
    boolean keep_alive;
    u32 target, target_end, body, length, status;
    u8 kind;
};

struct command {
    u32 count, length, start[16], end[16];
};

struct ring {
    volatile u64 written;
    u8 apart[56];
    volatile u64 taken;
    u8 apart_too[56];
    u8 data[2048];
};

struct end {
    struct ring *ring;
    u64 partner, count;
};

struct page {
    u8 kind, backed;
    u16 taken, previous, next;
    u64 pieces[2];
};

struct books {
    boolean ready;
    u16 rooms[7];
    struct page pages[2048];
};

struct client {
    u64 environment, generation, stride, passed, awake;
};

struct clients {
    u64 passed, count;
    struct client table[ENVIRONMENTS];
};

struct given {
    struct frame_entry *frame_table;
    struct system_page *system_page;
    struct filters *filters;
    u8 *packet;
    struct record *records;
    u8 *octets;
    u16 *sums;
    u8 *text;
    const u64 *secret;
    struct request *request;
    u8 *words;
    struct command *command;
    struct end *writer, *reader;
    u8 *taken;
    struct books *books;
    u64 *held;
    struct clients *clients;
    u64 ready;
};

// ---- aegis/frames.py

#define FRAMES 256
#define FREE_FRAMES ENVIRONMENTS // owners: FRAME_FREE
#define KERNEL_FRAMES (ENVIRONMENTS + 1)
#define NOWHERE 0xffffffff
#define SPARE 4 // FrameKind.SPARE

static struct frame_entry *frame_table;
static u64 frame_count;

static u64 oldest(u64 owner)
{
    u64 ring = frame_count + owner, frame = frame_table[ring].next;
    return frame != ring ? frame : 0;
}

static void append(u64 frame, u64 owner)
{
    u64 ring = frame_count + owner;
    u32 last = frame_table[ring].previous;
    frame_table[frame].next = (u32)ring;
    frame_table[frame].previous = last;
    frame_table[last].next = (u32)frame;
    frame_table[ring].previous = (u32)frame;
}

static void move(struct system_page *page, u64 frame, u64 owner, u16 kind)
{
    struct frame_entry *moved = &frame_table[frame];
    if (moved->owner == FREE_FRAMES)
        page->frames_free--;
    else if (moved->owner != KERNEL_FRAMES)
        page->environments[moved->owner].frames--;
    frame_table[moved->previous].next = moved->next;
    frame_table[moved->next].previous = moved->previous;
    moved->owner = (u16)owner;
    moved->kind = kind;
    moved->generation++;
    moved->page = NOWHERE;
    moved->flags = 0;
    if (owner == KERNEL_FRAMES)
        return;
    append(frame, owner);
    if (owner == FREE_FRAMES)
        page->frames_free++;
    else
        page->environments[owner].frames++;
}

u64 NAME(move_frames)(struct given *given)
{
    u64 total = 0;
    struct system_page *page = given->system_page;
    frame_table = given->frame_table;
    frame_count = FRAMES;
    for (u64 i = 0; i < FRAMES / 2; i++) {
        u64 frame = oldest(FREE_FRAMES);
        move(page, frame, i % 3, SPARE);
        total = total * 3 + frame;
    }
    for (u64 owner = 0; owner < 3; owner++)
        for (;;) {
            u64 frame = oldest(owner);
            if (frame == 0)
                break;
            move(page, frame, FREE_FRAMES, 0);
            total = total * 3 + frame_table[frame].generation;
        }
    return total + page->frames_free + page->environments[1].frames;
}

// ---- aegis/filter.py

static u64 same_field(const struct filters *table, u64 first, u64 last, u64 depth)
{
    u64 field = table->filters[table->order[first]].steps[depth].field;
    while (first < last) {
        u64 middle = (first + last) / 2;
        const struct filter *filter = &table->filters[table->order[middle]];
        if (filter->count > depth && filter->steps[depth].field == field)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static u64 first_value(const struct filters *table, u64 first, u64 last, u64 depth, u32 value)
{
    while (first < last) {
        u64 middle = (first + last) / 2;
        if (table->filters[table->order[middle]].steps[depth].value < value)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static u64 same_value(const struct filters *table, u64 first, u64 last, u64 depth, u32 value)
{
    while (first < last) {
        u64 middle = (first + last) / 2;
        if (table->filters[table->order[middle]].steps[depth].value == value)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static i64 search(const struct filters *table, u64 first, u64 last, u64 depth, u64 base, const u8 *frame, u64 length)
{
    while (first < last) {
        if (table->filters[table->order[first]].count == depth)
            return table->order[first];
        u64 end = same_field(table, first, last, depth);
        u64 field = table->filters[table->order[first]].steps[depth].field;
        u64 width = field >> 4 & 15, offset = field >> 40 & 0xffff;
        u32 mask = (u32)(field >> 8) ^ 0xffffffff;
        if (base + offset + width <= length) {
            i64 found;
            if (field >> 63) {
                u64 number = 0;
                for (u64 i = 0; i < width; i++)
                    number = number << 8 | frame[base + offset + i];
                found = search(table, first, end, depth + 1, base + ((number & mask) << (field & 15)), frame, length);
            } else {
                u32 value = 0;
                for (u64 i = 0; i < width; i++)
                    value |= (u32)frame[base + offset + i] << 8 * i;
                value &= __builtin_bswap32(mask);
                u64 start = first_value(table, first, end, depth, value);
                u64 stop = same_value(table, start, end, depth, value);
                found = search(table, start, stop, depth + 1, base, frame, length);
            }
            if (found != -1)
                return found;
        }
        first = end;
    }
    return -1;
}

u64 NAME(classify)(struct given *given)
{
    u64 total = 0;
    u8 *packet = given->packet;
    for (u64 number = 0; number < 110; number++) {
        u32 source = (u32)((number + 1) * 6364136223846793005 >> 29);
        u16 port = (u16)(1024 + number * 7);
        for (u64 i = 0; i < 4; i++)
            packet[26 + i] = (u8)(source >> (24 - 8 * i));
        packet[34] = (u8)(port >> 8);
        packet[35] = (u8)port;
        total = total * 3 + (u64)search(given->filters, 0, given->filters->count, 0, 0, packet, 60);
    }
    return total;
}

// ---- aegis/capability.py

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

struct hash {
    u64 v0, v1, v2, v3;
};

static void round_of(struct hash *h)
{
    h->v0 += h->v1;
    h->v1 = ROTATE(h->v1, 13) ^ h->v0;
    h->v0 = ROTATE(h->v0, 32);
    h->v2 += h->v3;
    h->v3 = ROTATE(h->v3, 16) ^ h->v2;
    h->v0 += h->v3;
    h->v3 = ROTATE(h->v3, 21) ^ h->v0;
    h->v2 += h->v1;
    h->v1 = ROTATE(h->v1, 17) ^ h->v2;
    h->v2 = ROTATE(h->v2, 32);
}

static void absorb(struct hash *h, u64 word)
{
    h->v3 ^= word;
    round_of(h);
    round_of(h);
    h->v0 ^= word;
}

static u64 mac_of(u64 low, u64 high, u64 name, u64 rights)
{
    struct hash h = {
        low ^ 0x736f6d6570736575, high ^ 0x646f72616e646f6d, low ^ 0x6c7967656e657261, high ^ 0x7465646279746573};
    absorb(&h, name);
    absorb(&h, rights);
    absorb(&h, 16UL << 56);
    h.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        round_of(&h);
    return (h.v0 ^ h.v1 ^ h.v2 ^ h.v3) & 0x7fffffffffffffff;
}

u64 NAME(prove)(struct given *given)
{
    u64 total = 0;
    for (u64 i = 0; i < 64; i++)
        total = total * 3 + mac_of(given->secret[0], given->secret[1], i << 8, total & 0xff);
    return total;
}

// ---- aegis/processor.py

#define NOBODY 255
#define LONGEST_CHAIN 8

static u64 position, ready;
static u64 borrower = NOBODY;

static void set_context(struct context *context, u64 ip, u64 sp)
{
    static const struct registers none;
    context->registers = none;
    context->ip = ip;
    context->cs = 0x2b;
    context->flags = 0x202;
    context->sp = sp;
    context->ss = 0x23;
}

static __attribute__((noinline)) void unpack(struct kernel_page *page)
{
    set_context(&page->context, page->yielded_ip, page->yielded_sp);
    page->yielded_ip = 0;
}

static __attribute__((noinline)) void take_up(struct kernel_page *page)
{
    page->context = page->resting;
    page->aside = 0;
}

static void prepare(struct kernel_page *page)
{
    if (page->aside && page->caller == NOBODY)
        take_up(page);
    if (page->yielded_ip != 0)
        unpack(page);
}

static void enter_frame(struct context *context, volatile struct exception_frame *frame, u64 entry, u64 cause)
{
    frame->all[0] = context->registers.all[4];
    frame->all[1] = context->registers.all[13];
    frame->all[2] = cause;
    frame->all[3] = context->ip;
    frame->all[4] = context->cs;
    frame->all[5] = context->flags;
    frame->all[6] = context->sp;
    frame->all[7] = context->ss;
    context->ip = entry;
    context->flags = 0x202;
}

static __attribute__((noinline)) void deliver_events(struct record *record)
{
    struct environment_page *page = record->page;
    u64 entry = page->event_entry;
    u64 events = page->pending & ~page->masked;
    if (events == 0)
        return;
    page->event_entry = 0;
    enter_frame(&record->kernel_page->context, &page->event_frame, entry, events);
}

static __attribute__((noinline)) u64 follow(struct record *records, u64 identifier)
{
    for (int i = 0; i < LONGEST_CHAIN + 1; i++) {
        u64 callee = records[identifier].kernel_page->callee;
        if (callee == NOBODY)
            return identifier;
        identifier = callee;
    }
    return NOBODY;
}

static u64 end_of_chain(struct record *records, u64 identifier)
{
    return records[identifier].kernel_page->callee == NOBODY ? identifier : follow(records, identifier);
}

static __attribute__((noinline)) void enter_prologue(struct record *record)
{
    struct environment_page *shared = record->page;
    struct context *context = &record->kernel_page->context;
    shared->saved = *context;
    context->ip = shared->slice_start_entry;
    context->flags = 0x202;
    shared->slice_start_entry = 0;
}

static u64 begin_slice(struct record *record, boolean own)
{
    struct kernel_page *page = record->kernel_page;
    prepare(page);
    if (own && record->page->slice_start_entry != 0 && page->caller == NOBODY)
        enter_prologue(record);
    if (record->page->event_entry != 0)
        deliver_events(record);
    return record->root;
}

static u64 next_slice(struct system_page *system, struct record *records)
{
    if (borrower != NOBODY) {
        borrower = NOBODY;
        *(volatile u32 *)0xfffffffffee00380 = (u32)system->slice_ticks;
    }
    u64 candidates = ready;
    while (candidates != 0) {
        u64 turn = SLICES - 1 - position;
        u64 following = turn ? candidates << turn | candidates >> (64 - turn) : candidates;
        position = (position + 1 + (u64)__builtin_ctzl(following)) % SLICES;
        u64 owner = system->slice_owners[position];
        if (system->excess[owner] != 0) {
            system->excess[owner]--;
        } else {
            u64 runner = end_of_chain(records, owner);
            if (runner != NOBODY)
                return begin_slice(&records[runner], runner == owner);
        }
        candidates &= ~(1UL << position);
    }
    return records[ENVIRONMENTS].root;
}

u64 NAME(pick)(struct given *given)
{
    u64 total = 0;
    position = SLICES - 1;
    ready = given->ready;
    for (u64 i = 0; i < 128; i++)
        total = total * 3 + next_slice(given->system_page, given->records);
    return total;
}

// ---- exos/net/checksum.py, exos/net/segment.py

enum { TCP_LENGTH = 22, TCP_CHECKSUM = 23, TCP_PORT = 24 }; // exos/net/drop.py

static u64 with_carry(u64 total, u64 word)
{
    boolean carry = __builtin_add_overflow(total, word, &total);
    return total + carry;
}

static u64 load64(const u8 *data)
{
    u64 word;
    __builtin_memcpy(&word, data, 8);
    return word;
}

static u32 load32(const u8 *data)
{
    u32 word;
    __builtin_memcpy(&word, data, 4);
    return word;
}

static u64 add_data(u64 total, const u8 *data, u64 length)
{
    while (length >= 32) {
        total = with_carry(total, load64(data));
        total = with_carry(total, load64(data + 8));
        total = with_carry(total, load64(data + 16));
        total = with_carry(total, load64(data + 24));
        data += 32, length -= 32;
    }
    while (length >= 4) {
        total = with_carry(total, load32(data));
        data += 4, length -= 4;
    }
    if (length >= 2) {
        total = with_carry(total, data[0] + ((u64)data[1] << 8));
        data += 2, length -= 2;
    }
    if (length != 0)
        total = with_carry(total, data[0]);
    return total;
}

static u16 fold(u64 total)
{
    total = (total & 0xffffffff) + (total >> 32);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    return __builtin_bswap16((u16)total);
}

static u8 check(const u8 *segment, u64 length, u32 source, u32 destination)
{
    if (length < 20)
        return TCP_LENGTH;
    u64 header = (u64)(segment[12] >> 4) << 2;
    if (header < 20 || header > length)
        return TCP_LENGTH;
    u64 pseudo =
        (u64)__builtin_bswap32(source) + __builtin_bswap32(destination) + (6 << 8) + __builtin_bswap16((u16)length);
    if (fold(add_data(pseudo, segment, length)) != 0xffff)
        return TCP_CHECKSUM;
    if ((segment[0] | segment[1]) == 0 || (segment[2] | segment[3]) == 0)
        return TCP_PORT;
    return 0;
}

u64 NAME(check)(struct given *given)
{
    u64 total = 0;
    u8 *octets = given->octets;
    for (u64 i = 0; i < 32; i++) {
        octets[16] = (u8)(given->sums[i] >> 8);
        octets[17] = (u8)given->sums[i];
        octets[36] ^= i == 20;
        total = total * 3 + check(octets, 40 + i * 44, 0x0a000001, 0x0a000002);
        octets[36] ^= i == 20;
    }
    return total;
}

// ---- exos/net/http.py

enum { TAB = 9, LF = 10, CR = 13, SPACE = 32, COLON = 58, SLASH = 47 };
enum { INCOMPLETE = 0, LARGEST_HEAD = 4096, LARGEST_BODY = 2048 };

static boolean is_token(u8 byte)
{
    u8 letter = byte | 32;
    if ((letter >= 97 && letter <= 122) || (byte >= 48 && byte <= 57) || byte == 45)
        return 1;
    if (byte < 33 || byte > 126)
        return 0;
    return byte == 33 || (byte >= 35 && byte <= 39) || byte == 42 || byte == 43 || byte == 46 || byte == 94 ||
           byte == 95 || byte == 96 || byte == 124 || byte == 126;
}

static boolean same(const u8 *data, u64 length, const char *word, u64 size)
{
    if (length != size)
        return 0;
    for (u64 i = 0; i < length; i++) {
        u8 byte = data[i];
        if (byte >= 65 && byte <= 90)
            byte |= 32;
        if (byte != (u8)word[i])
            return 0;
    }
    return 1;
}
#define SAME(data, length, word) same(data, length, word, sizeof(word) - 1)

static boolean has_word(const u8 *value, u64 length, const char *word, u64 size)
{
    u64 i = 0;
    while (i < length) {
        while (i < length && (value[i] == SPACE || value[i] == TAB || value[i] == 44))
            i++;
        u64 start = i;
        while (i < length && value[i] != 44)
            i++;
        u64 last = i;
        while (last > start && (value[last - 1] == SPACE || value[last - 1] == TAB))
            last--;
        if (same(value + start, last - start, word, size))
            return 1;
    }
    return 0;
}
#define HAS_WORD(data, length, word) has_word(data, length, word, sizeof(word) - 1)

static boolean only_prefix(const u8 *data, u64 length)
{
    static const char pattern[] = "HTTP/1.1\r\n";
    for (u64 i = 0; i < length; i++) {
        boolean digit = i == 5 || i == 7;
        if (digit && (data[i] < 48 || data[i] > 57))
            return 0;
        if (!digit && data[i] != (u8)pattern[i])
            return 0;
    }
    return 1;
}

static u8 method_of(const u8 *word, u64 length)
{
    if (length == 3 && memcmp(word, "GET", 3) == 0)
        return 1;
    if (length == 4 && memcmp(word, "HEAD", 4) == 0)
        return 2;
    if (length == 4 && memcmp(word, "POST", 4) == 0)
        return 3;
    return 0;
}

static u32 parse(const u8 *data, u64 end, struct request *request)
{
    u64 i = 0;
    while (i + 1 < end && i < 8 && data[i] == CR && data[i + 1] == LF)
        i += 2;
    u64 start = i, limit = min(end, start + LARGEST_HEAD);
    u32 missing = limit < end ? 431 : INCOMPLETE;
    while (i < limit && is_token(data[i]))
        i++;
    if (i == limit)
        return missing;
    if (data[i] != SPACE || i == start) {
        if (data[i] == CR && i == start && i + 1 == end)
            return INCOMPLETE;
        return 400;
    }
    request->method = method_of(data + start, i - start);
    i++;
    u64 target = i;
    while (i < limit && data[i] > SPACE && data[i] != 127)
        i++;
    if (i == limit)
        return missing;
    if (data[i] != SPACE || i == target)
        return 400;
    request->target_end = (u32)i;
    if (i - target > 7 && SAME(data + target, 7, "http://")) {
        target += 7;
        while (data[target] != SLASH && data[target] != SPACE)
            target++;
    }
    if (data[target] != SLASH && !(i - target == 1 && data[target] == 42))
        return 400;
    request->target = (u32)target;
    i++;
    if (i + 10 > limit)
        return limit < end || only_prefix(data + i, limit - i) ? missing : 400;
    if (memcmp(data + i, "HTTP/", 5) != 0 || data[i + 6] != 46)
        return 400;
    u8 major = data[i + 5], minor = data[i + 7];
    if (major < 48 || major > 57 || minor < 48 || minor > 57 || data[i + 8] != CR || data[i + 9] != LF)
        return 400;
    if (major != 49)
        return 505;
    request->keep_alive = minor != 48;
    i += 10;

    u64 hosts = 0, length = 0;
    boolean has_length = 0, coded = 0, expects = 0;
    for (;;) {
        if (i + 2 > limit)
            return missing;
        if (data[i] == CR) {
            if (data[i + 1] != LF)
                return 400;
            i += 2;
            break;
        }
        u64 name = i;
        while (i < limit && is_token(data[i]))
            i++;
        if (i == limit)
            return missing;
        if (data[i] != COLON || i == name)
            return 400;
        u64 name_end = i;
        i++;
        while (i < limit && (data[i] == SPACE || data[i] == TAB))
            i++;
        u64 value = i;
        while (i < limit && (data[i] >= SPACE || data[i] == TAB) && data[i] != 127)
            i++;
        if (i + 2 > limit)
            return missing;
        if (data[i] != CR || data[i + 1] != LF)
            return 400;
        u64 value_end = i;
        while (value_end > value && (data[value_end - 1] == SPACE || data[value_end - 1] == TAB))
            value_end--;
        i += 2;
        u64 size = name_end - name;
        u8 first = data[name] | 32;
        if (size == 4 && first == 104 && SAME(data + name, size, "host")) {
            hosts++;
        } else if (size == 10 && first == 99 && SAME(data + name, size, "connection")) {
            if (HAS_WORD(data + value, value_end - value, "close"))
                request->keep_alive = 0;
            else if (minor == 48 && HAS_WORD(data + value, value_end - value, "keep-alive"))
                request->keep_alive = 1;
        } else if (size == 14 && first == 99 && SAME(data + name, size, "content-length")) {
            if (value == value_end || has_length)
                return 400;
            has_length = 1;
            for (u64 j = value; j < value_end; j++) {
                if (data[j] < 48 || data[j] > 57)
                    return 400;
                u64 longer = length * 10 + (data[j] - 48);
                length = min(longer, 1UL << 40);
            }
        } else if (size == 17 && first == 116 && SAME(data + name, size, "transfer-encoding")) {
            coded = 1;
        } else if (size == 6 && first == 101 && SAME(data + name, size, "expect")) {
            expects = 1;
        }
    }
    if (hosts > 1 || (hosts == 0 && minor != 48) || (coded && (has_length || minor == 48)))
        return 400;
    if (coded)
        return 501;
    if (length > LARGEST_BODY)
        return 413;
    if (i + length > end)
        return expects ? 417 : INCOMPLETE;
    request->body = (u32)i;
    request->length = (u32)(i + length);
    return 200;
}

u64 NAME(parse)(struct given *given)
{
    u64 total = 0;
    struct request *request = given->request;
    for (u64 i = 0; i < 27; i++) {
        total = total * 3 + parse(given->text, TEXT - i * 8, request);
        total += request->target_end + request->length + request->keep_alive;
    }
    return total;
}

// ---- exos/net/resp.py

enum { OK = 1, MALFORMED = 2, TOO_LARGE = 3, WORDS = 16, LARGEST_LINE = 1024, LARGEST_WORD = 4096 };

static u8 read_number(const u8 *data, u64 length, u64 at, u64 *result, u64 *behind)
{
    u64 number = 0, i = at;
    while (i < length && data[i] >= 48 && data[i] <= 57) {
        number = number * 10 + (data[i] - 48);
        i++;
        if (i - at > 9)
            return MALFORMED;
    }
    if (i + 2 > length)
        return i < length && data[i] != CR ? MALFORMED : INCOMPLETE;
    if (i == at || data[i] != CR || data[i + 1] != LF)
        return MALFORMED;
    *result = number;
    *behind = i + 2;
    return OK;
}

static u8 parse_line(const u8 *data, u64 length, struct command *command)
{
    command->count = 0;
    u64 i = 0;
    for (;;) {
        while (i < length && data[i] == SPACE)
            i++;
        u64 start = i;
        while (i < length && data[i] > SPACE)
            i++;
        if (i == length)
            return i < LARGEST_LINE ? INCOMPLETE : TOO_LARGE;
        if (i > start) {
            if (command->count == WORDS)
                return TOO_LARGE;
            command->start[command->count] = (u32)start;
            command->end[command->count] = (u32)i;
            command->count++;
        }
        if (data[i] == LF || (data[i] == CR && i + 1 < length && data[i + 1] == LF)) {
            command->length = (u32)(data[i] == LF ? i + 1 : i + 2);
            return OK;
        }
        if (data[i] == CR && i + 1 == length)
            return INCOMPLETE;
        if (data[i] != SPACE)
            return MALFORMED;
    }
}

static u8 parse_command(const u8 *data, u64 end, struct command *command)
{
    if (end == 0)
        return INCOMPLETE;
    if (data[0] != 42)
        return parse_line(data, end, command);
    u64 count = 0, i = 0;
    u8 found = read_number(data, end, 1, &count, &i);
    if (found != OK)
        return found;
    if (count > WORDS)
        return TOO_LARGE;
    for (u64 word = 0; word < count; word++) {
        u64 length = 0, start = 0;
        if (i >= end)
            return INCOMPLETE;
        if (data[i] != 36)
            return MALFORMED;
        found = read_number(data, end, i + 1, &length, &start);
        if (found != OK)
            return found;
        if (length > LARGEST_WORD)
            return TOO_LARGE;
        i = start + length;
        if (i + 2 > end)
            return INCOMPLETE;
        if (data[i] != CR || data[i + 1] != LF)
            return MALFORMED;
        command->start[word] = (u32)start;
        command->end[word] = (u32)i;
        i += 2;
    }
    command->count = (u32)count;
    command->length = (u32)i;
    return OK;
}

u64 NAME(command_of)(struct given *given)
{
    u64 total = 0;
    struct command *command = given->command;
    for (u64 i = 0; i < WORD_BYTES; i++) {
        total = total * 3 + parse_command(given->words, WORD_BYTES - i, command);
        total += command->count + command->length + command->end[2];
    }
    return total;
}

// ---- exos/pipe.py

enum { CAPACITY = 2048, BROKEN = -100, CORRUPT = -101 };
#define CLOSED (1UL << 63)
#define BARRIER() __asm__ volatile("" ::: "memory")

static u8 *place(struct ring *ring, u64 count)
{
    return ring->data + count % CAPACITY;
}

static boolean fits(u64 count)
{
    return count % CAPACITY <= CAPACITY - 8;
}

// Waiting for the other side happens in neither measurement.
static i64 await_room(struct end *end)
{
    u64 taken = end->ring->taken, there = end->count - taken;
    if (there > CAPACITY)
        return taken & CLOSED ? BROKEN : CORRUPT;
    if (there == CAPACITY)
        __builtin_trap();
    return (i64)(CAPACITY - there);
}

static i64 await_bytes(struct end *end)
{
    u64 there = end->ring->written - end->count;
    if (there > CAPACITY) {
        there -= CLOSED;
        if (there > CAPACITY)
            return CORRUPT;
        if (there == 0)
            return BROKEN;
    }
    if (there == 0)
        __builtin_trap();
    return (i64)there;
}

static __attribute__((noinline)) void copy_in(struct end *end, const u8 *data, u64 length)
{
    u64 room = CAPACITY - end->count % CAPACITY, first = min(length, room);
    memcpy(place(end->ring, end->count), data, first);
    memcpy(end->ring->data, data + first, length - first);
    BARRIER();
    end->count += length;
    end->ring->written = end->count;
}

static __attribute__((noinline)) void copy_out(struct end *end, u8 *data, u64 length)
{
    BARRIER();
    u64 room = CAPACITY - end->count % CAPACITY, first = min(length, room);
    memcpy(data, place(end->ring, end->count), first);
    memcpy(data + first, end->ring->data, length - first);
    BARRIER();
    end->count += length;
    end->ring->taken = end->count;
}

static __attribute__((noinline)) i64 write_apart(struct end *end, const u8 *data, u64 length)
{
    u64 at = 0;
    while (at != length) {
        i64 room = await_room(end);
        if (room < 0)
            return room;
        u64 size = min((u64)room, length - at);
        copy_in(end, data + at, size);
        at += size;
    }
    return 0;
}

static __attribute__((noinline)) i64 read_apart(struct end *end, u8 *data, u64 length)
{
    if (length == 0)
        return 0;
    i64 there = await_bytes(end);
    if (there <= 0)
        return there != BROKEN ? there : 0;
    u64 size = min((u64)there, length);
    copy_out(end, data, size);
    return (i64)size;
}

static __attribute__((noinline)) i64 write(struct end *end, const u8 *data, u64 length)
{
    struct ring *ring = end->ring;
    u64 count = end->count;
    if (length != 8 || count - ring->taken > CAPACITY - 8 || !fits(count))
        return write_apart(end, data, length);
    *(u64 *)place(ring, count) = load64(data);
    BARRIER();
    end->count = count + 8;
    ring->written = count + 8;
    return 0;
}

static __attribute__((noinline)) i64 read(struct end *end, u8 *data, u64 length)
{
    struct ring *ring = end->ring;
    u64 count = end->count;
    if (ring->written == count)
        __builtin_trap();
    if (length != 8 || ring->written - count - 8 > CAPACITY - 8 || !fits(count))
        return read_apart(end, data, length);
    BARRIER();
    u64 word = *(u64 *)place(ring, count);
    BARRIER();
    end->count = count + 8;
    ring->taken = count + 8;
    __builtin_memcpy(data, &word, 8);
    return 8;
}

u64 NAME(through)(struct given *given)
{
    u64 total = 0;
    for (u64 i = 0; i < 64; i++) {
        u64 size = 8 + i * 8;
        if (write(given->writer, given->octets, size) != 0)
            return 0;
        i64 got = read(given->reader, given->taken, size);
        total = total * 3 + (u64)got + given->taken[size - 1];
    }
    return total;
}

// ---- exos/blocks.py

enum { PAGE = 4096, PAGES = 2048, SMALLEST_SHIFT = 5, CLASSES = 7, END = 0xffff, FREE = 0xff, FIRST = 0xfe, REST = 0xfd };
#define NOTHING (~0UL)

static u64 class_of(u64 size)
{
    if (size <= 1 << SMALLEST_SHIFT)
        return 0;
    return 64 - SMALLEST_SHIFT - (u64)__builtin_clzl(size - 1);
}

static u64 pieces_of(u64 kind)
{
    return (u64)(PAGE >> SMALLEST_SHIFT) >> kind;
}

static u64 full_half(u64 kind)
{
    u64 count = pieces_of(kind);
    return count >= 64 ? ~0UL : (1UL << count) - 1;
}

static u64 take_pages(struct books *books, u64 count)
{
    u64 run = 0;
    for (u64 i = 0; i < PAGES; i++) {
        run = books->pages[i].kind == FREE ? run + 1 : 0;
        if (run == count) {
            u64 first = i + 1 - count;
            for (u64 j = first; j < i + 1; j++)
                books->pages[j].kind = REST;
            books->pages[first].kind = FIRST;
            books->pages[first].taken = (u16)count;
            return first * PAGE;
        }
    }
    return NOTHING;
}

static void link_page(struct books *books, u16 number)
{
    struct page *page = &books->pages[number];
    u16 head = books->rooms[page->kind];
    page->previous = END;
    page->next = head;
    if (head != END)
        books->pages[head].previous = number;
    books->rooms[page->kind] = number;
}

static void unlink_page(struct books *books, u16 number)
{
    struct page *page = &books->pages[number];
    if (page->previous == END)
        books->rooms[page->kind] = page->next;
    else
        books->pages[page->previous].next = page->next;
    if (page->next != END)
        books->pages[page->next].previous = page->previous;
}

static u64 take(struct books *books, u64 size)
{
    if (size == 0 || size > (u64)PAGES * PAGE)
        return NOTHING;
    if (size > PAGE / 2)
        return take_pages(books, (size + PAGE - 1) / PAGE);
    u64 kind = class_of(size);
    if (books->rooms[kind] == END) {
        u64 offset = take_pages(books, 1);
        if (offset == NOTHING)
            return NOTHING;
        struct page *fresh = &books->pages[offset / PAGE];
        fresh->kind = (u8)kind;
        fresh->taken = 0;
        fresh->pieces[0] = fresh->pieces[1] = 0;
        link_page(books, (u16)(offset / PAGE));
    }
    u16 number = books->rooms[kind];
    struct page *page = &books->pages[number];
    u64 half = page->pieces[0] != full_half(kind) ? 0 : 1;
    u64 bit = (u64)__builtin_ctzl(~page->pieces[half]);
    page->pieces[half] |= 1UL << bit;
    page->taken++;
    if (page->taken == pieces_of(kind))
        unlink_page(books, number);
    return (u64)number * PAGE + ((half * 64 + bit) << (kind + SMALLEST_SHIFT));
}

static u64 size_of(struct books *books, u64 offset)
{
    if (offset >= (u64)PAGES * PAGE || !books->ready)
        return 0;
    struct page *page = &books->pages[offset / PAGE];
    if (page->kind == FIRST && offset % PAGE == 0)
        return (u64)page->taken * PAGE;
    if (page->kind >= CLASSES)
        return 0;
    u64 shift = (u64)page->kind + SMALLEST_SHIFT, piece = offset % PAGE >> shift;
    if (piece << shift != offset % PAGE || (page->pieces[piece >> 6] & 1UL << (piece & 63)) == 0)
        return 0;
    return 1UL << shift;
}

static boolean give_back(struct books *books, u64 offset)
{
    if (size_of(books, offset) == 0)
        return 0;
    u16 number = (u16)(offset / PAGE);
    struct page *page = &books->pages[number];
    if (page->kind == FIRST) {
        for (u64 i = number; i < (u64)number + page->taken; i++)
            books->pages[i].kind = FREE;
        return 1;
    }
    u64 piece = offset % PAGE >> (page->kind + SMALLEST_SHIFT);
    page->pieces[piece >> 6] ^= 1UL << (piece & 63);
    if (page->taken == pieces_of(page->kind))
        link_page(books, number);
    page->taken--;
    if (page->taken == 0) {
        unlink_page(books, number);
        page->kind = FREE;
    }
    return 1;
}

u64 NAME(allocate)(struct given *given)
{
    u64 total = 0;
    for (u64 i = 0; i < 512; i++) {
        u64 slot = i * 11 % 32;
        if (i >= 32)
            give_back(given->books, given->held[slot]);
        given->held[slot] = take(given->books, i * 37 % 2000 + 1);
        total = total * 3 + given->held[slot];
    }
    return total;
}

// ---- exos/schedule.py

static u64 choose(struct clients *clients)
{
    u64 chosen = ENVIRONMENTS;
    for (u64 i = 0; i < clients->count; i++) {
        struct client *client = &clients->table[i];
        if (client->awake && (chosen == ENVIRONMENTS || (i64)(client->passed - clients->passed) < 0)) {
            chosen = i;
            clients->passed = client->passed;
        }
    }
    return chosen;
}

static void charge(struct client *client, u64 used, u64 turn)
{
    u64 parts = (min(used, turn) * 8 + turn / 2) / turn;
    client->passed += client->stride * max(parts, 1UL) / 8;
}

u64 NAME(choose)(struct given *given)
{
    u64 total = 0;
    for (u64 i = 0; i < 64; i++) {
        u64 chosen = choose(given->clients);
        charge(&given->clients->table[chosen], 1000 - i, 1000);
        total = total * 3 + chosen;
    }
    return total;
}
