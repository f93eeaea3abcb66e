// SPDX-License-Identifier: MIT
// The ten kernels of kernels.py in C: the same algorithms, without bounds checks. See exhibit.py.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

u32 c_checksum(const u8 *data, u64 length)
{
    u32 total = 0;
    u64 i = 0;
    while (i + 1 < length) {
        total += (u32)data[i] << 8 | data[i + 1];
        i += 2;
    }
    if (i < length)
        total += (u32)data[i] << 8;
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return ~total & 0xffff;
}

static void sift_down(u32 *items, u64 root, u64 end)
{
    u32 value = items[root];
    for (;;) {
        u64 child = root * 2 + 1;
        if (child >= end)
            break;
        if (child + 1 < end && items[child] < items[child + 1])
            child++;
        if (value >= items[child])
            break;
        items[root] = items[child];
        root = child;
    }
    items[root] = value;
}

u32 c_sort(u32 *items, u64 length)
{
    u64 start = length / 2, end = length;
    while (start > 0) {
        start--;
        sift_down(items, start, end);
    }
    while (end > 1) {
        end--;
        u32 largest = items[0];
        items[0] = items[end];
        items[end] = largest;
        sift_down(items, 0, end);
    }
    return items[0] ^ items[length / 2];
}

u32 c_crc(const u8 *data, u64 length, const u32 *table)
{
    u32 crc = 0xffffffff;
    for (u64 i = 0; i < length; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

struct ring {
    u32 head, tail;
    u64 slots[256];
};

static int ring_put(struct ring *ring, u64 value)
{
    if (ring->head - ring->tail == 256)
        return 0;
    ring->slots[ring->head & 255] = value;
    ring->head++;
    return 1;
}

static int ring_take(struct ring *ring, u64 *value)
{
    if (ring->head == ring->tail)
        return 0;
    *value = ring->slots[ring->tail & 255];
    ring->tail++;
    return 1;
}

u32 c_ring(struct ring *ring, u64 count)
{
    u64 sent = 0, received = 0, total = 0, value;
    while (received < count) {
        u64 burst = sent % 7 + 1;
        while (burst > 0 && sent < count && ring_put(ring, sent * 3)) {
            sent++;
            burst--;
        }
        while (ring_take(ring, &value)) {
            total = total * 5 + value;
            received++;
        }
    }
    return (u32)total;
}

static u64 population(u64 x)
{
    x = x - (x >> 1 & 0x5555555555555555);
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return x * 0x0101010101010101 >> 56;
}

u32 c_bits(const u64 *words, u64 length)
{
    u64 total = 0;
    for (u64 i = 0; i < length; i++) {
        u64 word = words[i];
        total += population(word);
        total ^= __builtin_bswap64(word) >> 7;
        total = total << 13 | total >> 51;
        if (word != 0) {
            total += (u64)__builtin_ctzl(word) * 64 + (u64)__builtin_clzl(word);
            total ^= word & (word - 1);
        }
    }
    return (u32)(total ^ total >> 32);
}

u32 c_search(const u8 *text, u64 length, const u8 *pattern, u64 size)
{
    u32 found = 0;
    if (size > length)
        return 0;
    for (u64 start = 0; start < length - size + 1; start++) {
        u64 matched = 0;
        while (matched < size && text[start + matched] == pattern[matched])
            matched++;
        if (matched == size)
            found = found * 31 + (u32)start;
    }
    return found;
}

static u64 lower_bound(const u32 *items, u64 length, u32 key)
{
    u64 low = 0, high = length;
    while (low < high) {
        u64 middle = low + (high - low) / 2;
        if (items[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

u32 c_binary(const u32 *items, u64 length, u64 lookups)
{
    u32 total = 0, key = 12345;
    for (u64 i = 0; i < lookups; i++) {
        key = key * 1664525 + 1013904223;
        total = total * 3 + (u32)lower_bound(items, length, key);
    }
    return total;
}

u32 c_matrix(const u32 (*a)[24], const u32 (*b)[24], u32 (*c)[24])
{
    u32 trace = 0;
    for (u64 i = 0; i < 24; i++)
        for (u64 j = 0; j < 24; j++) {
            u32 total = 0;
            for (u64 k = 0; k < 24; k++)
                total += a[i][k] * b[k][j];
            c[i][j] = total;
        }
    for (u64 i = 0; i < 24; i++)
        trace = trace * 7 + c[i][23 - i];
    return trace;
}

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND                                                                                                          \
    do {                                                                                                               \
        v0 += v1, v1 = ROTATE(v1, 13), v1 ^= v0, v0 = ROTATE(v0, 32);                                                  \
        v2 += v3, v3 = ROTATE(v3, 16), v3 ^= v2;                                                                       \
        v0 += v3, v3 = ROTATE(v3, 21), v3 ^= v0;                                                                       \
        v2 += v1, v1 = ROTATE(v1, 17), v1 ^= v2, v2 = ROTATE(v2, 32);                                                  \
    } while (0)

u64 c_siphash(const u8 *data, u64 length, u64 k0, u64 k1)
{
    u64 v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
    u64 v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
    u64 whole = length / 8;
    for (u64 i = 0; i < whole; i++) {
        u64 word = ((const u64 *)data)[i];
        v3 ^= word;
        ROUND;
        ROUND;
        v0 ^= word;
    }
    u64 last = length << 56;
    for (u64 i = 0; i < length % 8; i++)
        last |= (u64)data[whole * 8 + i] << 8 * i;
    v3 ^= last;
    ROUND;
    ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

struct entry {
    u64 key, value;
};

static struct entry *slot_of(struct entry *table, u64 mask, u64 key)
{
    u64 at = key * 0x9e3779b97f4a7c15 >> 32 & mask;
    while (table[at].key != 0 && table[at].key != key)
        at = (at + 1) & mask;
    return &table[at];
}

u32 c_hashtable(struct entry *table, u64 size, u64 count)
{
    u64 mask = size - 1, key = 1, total = 0;
    for (u64 i = 0; i < count; i++) {
        key = key * 6364136223846793005 + 1442695040888963407;
        struct entry *entry = slot_of(table, mask, key % 512 + 1);
        entry->key = key % 512 + 1;
        entry->value += i;
    }
    for (u64 i = 1; i <= 600; i++) {
        struct entry *entry = slot_of(table, mask, i);
        if (entry->key != 0)
            total = total * 3 + entry->value;
    }
    return (u32)(total ^ total >> 32);
}
