# SPDX-License-Identifier: MIT
"""Ten small kernels in the dialect, each run beside its twin of kernels.c: an application for `exhibit.py`.

The C is compiled while this module is imported, and its assembly becomes a part of the same image. Every line printed
is `kernel system instructions result`; the time-stamp counter counts instructions when QEMU runs with -icount shift=0.
Kernels must be written as anyone would write them in the dialect: no pointers, every index checked. They are exported, so that
nothing about their arguments is known when they are compiled, as in C.
"""

import subprocess
from pathlib import Path
from typing import Final

from exokernel.machine.cpu import read_timestamp
from exokernel.metal import (
    Array,
    Ptr,
    Span,
    addr,
    asm,
    byte_swap,
    count_leading_zeros,
    count_trailing_zeros,
    export,
    module_asm,
    naked,
    noinline,
    rotate_left,
    struct,
    u8,
    u32,
    u64,
    view,
)

C_FLAGS = [
    "-O2", "-std=c11", "-mgeneral-regs-only", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables", "-fno-builtin",
]  # fmt: skip
"""As the dialect's own code is compiled: no vector registers, no runtime. Bounds checks are the dialect's alone."""

module_asm(
    subprocess.run(
        ["gcc", *C_FLAGS, "-S", "-o", "-", str(Path(__file__).with_name("kernels.c"))],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout
)  # fmt: skip


# ---- the kernels


@export
@noinline
def checksum(data: Span[u8]) -> u32:
    """The Internet checksum, RFC 1071, a byte pair at a time."""
    total: u32 = 0
    i: u64 = 0
    while i + 1 < len(data):
        total += u32(data[i]) << 8 | data[i + 1]
        i += 2
    if i < len(data):
        total += u32(data[i]) << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sift_down(items: Span[u32], root: u64, end: u64) -> None:
    value = items[root]
    while True:
        child = root * 2 + 1
        if child >= end:
            break
        if child + 1 < end and items[child] < items[child + 1]:
            child += 1
        if value >= items[child]:
            break
        items[root] = items[child]
        root = child
    items[root] = value


@export
@noinline
def sort(items: Span[u32]) -> u32:
    """Heapsort."""
    start = len(items) // 2
    end = len(items)
    while start > 0:
        start -= 1
        sift_down(items, start, end)
    while end > 1:
        end -= 1
        items[0], items[end] = items[end], items[0]
        sift_down(items, 0, end)
    return items[0] ^ items[len(items) // 2]


@export
@noinline
def crc(data: Span[u8], table: Array[u32, 256]) -> u32:
    """CRC-32 by table."""
    value: u32 = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return ~value


@struct
class Ring:
    head: u32
    tail: u32
    slots: Array[u64, 256]

    def put(self, value: u64) -> bool:
        if self.head - self.tail == 256:
            return False
        self.slots[self.head & 255] = value
        self.head += 1
        return True

    def take(self) -> tuple[u64, bool]:
        if self.head == self.tail:
            return 0, False
        value = self.slots[self.tail & 255]
        self.tail += 1
        return value, True


@export
@noinline
def ring(buffer: Ring, count: u64) -> u32:
    """A producer and a consumer over a ring of 256 slots."""
    sent: u64 = 0
    received: u64 = 0
    total: u64 = 0
    while received < count:
        burst = sent % 7 + 1
        while burst > 0 and sent < count and buffer.put(sent * 3):
            sent += 1
            burst -= 1
        while True:
            value, present = buffer.take()
            if not present:
                break
            total = total * 5 + value
            received += 1
    return u32(total)


def population(x: u64) -> u64:
    x = x - (x >> 1 & 0x5555555555555555)
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F
    return x * 0x0101010101010101 >> 56


@export
@noinline
def bits(words: Span[u64]) -> u32:
    """Population counts, byte swaps, rotations, zeros at either end."""
    total: u64 = 0
    for word in words:
        total += population(word)
        total ^= byte_swap(word) >> 7
        total = rotate_left(total, 13)
        if word != 0:
            total += count_trailing_zeros(word) * 64 + count_leading_zeros(word)
            total ^= word & (word - 1)
    return u32(total ^ total >> 32)


@export
@noinline
def search(text: Span[u8], pattern: Span[u8]) -> u32:
    """Every place of a short pattern in a text, the plain way."""
    found: u32 = 0
    if len(pattern) > len(text):
        return 0
    for start in range(len(text) - len(pattern) + 1):
        matched: u64 = 0
        while matched < len(pattern) and text[start + matched] == pattern[matched]:
            matched += 1
        if matched == len(pattern):
            found = found * 31 + u32(start)
    return found


def lower_bound(items: Span[u32], key: u32) -> u64:
    low: u64 = 0
    high = len(items)
    while low < high:
        middle = low + (high - low) // 2
        if items[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@export
@noinline
def binary(items: Span[u32], lookups: u64) -> u32:
    """Binary searches for pseudo-random keys."""
    total: u32 = 0
    key: u32 = 12345
    for _ in range(lookups):
        key = key * 1664525 + 1013904223
        total = total * 3 + u32(lower_bound(items, key))
    return total


Matrix = Array[Array[u32, 24], 24]


@export
@noinline
def matrix(a: Matrix, b: Matrix, c: Matrix) -> u32:
    """The product of two 24 by 24 matrices."""
    for i in range(24):
        for j in range(24):
            total: u32 = 0
            for k in range(24):
                total += a[i][k] * b[k][j]
            c[i][j] = total
    trace: u32 = 0
    for i in range(24):
        trace = trace * 7 + c[i][23 - i]
    return trace


@struct(packed=True)
class Word:
    value: u64


@struct
class SipState:
    v0: u64
    v1: u64
    v2: u64
    v3: u64

    def round(self) -> None:
        self.v0 += self.v1
        self.v1 = rotate_left(self.v1, 13) ^ self.v0
        self.v0 = rotate_left(self.v0, 32)
        self.v2 += self.v3
        self.v3 = rotate_left(self.v3, 16) ^ self.v2
        self.v0 += self.v3
        self.v3 = rotate_left(self.v3, 21) ^ self.v0
        self.v2 += self.v1
        self.v1 = rotate_left(self.v1, 17) ^ self.v2
        self.v2 = rotate_left(self.v2, 32)


@export
@noinline
def siphash(data: Span[u8], k0: u64, k1: u64) -> u64:
    """SipHash-2-4, Aumasson and Bernstein, 2012."""
    s = SipState(k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    whole = len(data) // 8
    for i in range(whole):
        word = view(Word, data, i * 8).value
        s.v3 ^= word
        s.round()
        s.round()
        s.v0 ^= word
    last = len(data) << 56
    for i in range(len(data) % 8):
        last |= u64(data[whole * 8 + i]) << i * 8
    s.v3 ^= last
    s.round()
    s.round()
    s.v0 ^= last
    s.v2 ^= 0xFF
    for _ in range(4):
        s.round()
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3


@struct
class Entry:
    key: u64
    value: u64


def slot_of(table: Span[Entry], key: u64) -> Entry:
    mask = len(table) - 1
    at = key * 0x9E3779B97F4A7C15 >> 32 & mask
    while table[at].key != 0 and table[at].key != key:
        at = (at + 1) & mask
    return table[at]


@export
@noinline
def hashtable(table: Span[Entry], count: u64) -> u32:
    """Open addressing: insertions, then look-ups, some of keys that are not there."""
    key: u64 = 1
    for i in range(count):
        key = key * 6364136223846793005 + 1442695040888963407
        entry = slot_of(table, key % 512 + 1)
        entry.key = key % 512 + 1
        entry.value += i
    total: u64 = 0
    for i in range(1, 601):
        entry = slot_of(table, i)
        if entry.key != 0:
            total = total * 3 + entry.value
    return u32(total ^ total >> 32)


# ---- their twins: a jump is all that stands between the caller and the C function


@naked
def checksum_in_c(data: Ptr[u8], length: u64) -> u32:
    asm("jmp c_checksum")


@naked
def sort_in_c(items: Ptr[u32], length: u64) -> u32:
    asm("jmp c_sort")


@naked
def crc_in_c(data: Ptr[u8], length: u64, table: Ptr[u32]) -> u32:
    asm("jmp c_crc")


@naked
def ring_in_c(buffer: Ring, count: u64) -> u32:
    asm("jmp c_ring")


@naked
def bits_in_c(words: Ptr[u64], length: u64) -> u32:
    asm("jmp c_bits")


@naked
def search_in_c(text: Ptr[u8], length: u64, pattern: Ptr[u8], size: u64) -> u32:
    asm("jmp c_search")


@naked
def binary_in_c(items: Ptr[u32], length: u64, lookups: u64) -> u32:
    asm("jmp c_binary")


@naked
def matrix_in_c(a: Matrix, b: Matrix, c: Matrix) -> u32:
    asm("jmp c_matrix")


@naked
def siphash_in_c(data: Ptr[u8], length: u64, k0: u64, k1: u64) -> u64:
    asm("jmp c_siphash")


@naked
def hashtable_in_c(table: Ptr[Entry], size: u64, count: u64) -> u32:
    asm("jmp c_hashtable")


# ---- data


def crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xEDB88320 if value & 1 else value >> 1
        table.append(value)
    return table


CRC: Final[Array[u32, 256]] = Array[u32, 256](crc_table())

BYTES = 1499  # odd, so every kernel meets its last incomplete word
LOOKUPS = 200
MESSAGES = 1000
KEYS = 700

octets: Array[u8, 1499] = Array[u8, 1499]()
numbers: Array[u32, 512] = Array[u32, 512]()
words: Array[u64, 256] = Array[u64, 256]()
left: Array[Array[u32, 24], 24] = Array[Array[u32, 24], 24]()
right: Array[Array[u32, 24], 24] = Array[Array[u32, 24], 24]()
product: Array[Array[u32, 24], 24] = Array[Array[u32, 24], 24]()
messages: Ring = Ring()
entries: Array[Entry, 1024] = Array[Entry, 1024]()


def prepare() -> None:
    """The same data before every measurement."""
    seed: u64 = 88172645463325252
    for i in range(BYTES):
        seed = step(seed)
        octets[i] = u8(seed) & 3
    for i in range(512):
        seed = step(seed)
        numbers[i] = u32(seed >> 8)
    for i in range(256):
        seed = step(seed)
        words[i] = seed if i % 16 != 0 else 0
    for i in range(24):
        for j in range(24):
            left[i][j] = u32(i * j + 3)
            right[i][j] = u32(i + 7 * j)
            product[i][j] = 0
    messages.head = 0
    messages.tail = 0
    for entry in entries:
        entry.key = 0
        entry.value = 0


def step(x: u64) -> u64:
    """Xorshift, Marsaglia 2003."""
    x ^= x << 13
    x ^= x >> 7
    return x ^ x << 17


def report(kernel: str, system: str, started: u64, ended: u64, result: u64) -> None:
    print(kernel, system, ended - started, result)


def main() -> None:
    prepare()
    started = read_timestamp()
    result = checksum(octets)
    report("checksum", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = checksum_in_c(addr(octets[0]), BYTES)
    report("checksum", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = sort(numbers)
    report("sort", "exos", started, read_timestamp(), result)
    prepare()
    started = read_timestamp()
    result = sort_in_c(addr(numbers[0]), len(numbers))
    report("sort", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = binary(numbers, LOOKUPS)
    report("binary", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = binary_in_c(addr(numbers[0]), len(numbers), LOOKUPS)
    report("binary", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = crc(octets, CRC)
    report("crc", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = crc_in_c(addr(octets[0]), BYTES, addr(CRC[0]))
    report("crc", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = ring(messages, MESSAGES)
    report("ring", "exos", started, read_timestamp(), result)
    prepare()
    started = read_timestamp()
    result = ring_in_c(messages, MESSAGES)
    report("ring", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = bits(words)
    report("bits", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = bits_in_c(addr(words[0]), len(words))
    report("bits", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = search(octets, octets[1000:1006])
    report("search", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = search_in_c(addr(octets[0]), BYTES, addr(octets[1000]), 6)
    report("search", "c", started, read_timestamp(), result)

    started = read_timestamp()
    result = matrix(left, right, product)
    report("matrix", "exos", started, read_timestamp(), result)
    started = read_timestamp()
    result = matrix_in_c(left, right, product)
    report("matrix", "c", started, read_timestamp(), result)

    started = read_timestamp()
    hashed = siphash(octets, 0x0706050403020100, 0x0F0E0D0C0B0A0908)
    report("siphash", "exos", started, read_timestamp(), hashed)
    started = read_timestamp()
    hashed = siphash_in_c(addr(octets[0]), BYTES, 0x0706050403020100, 0x0F0E0D0C0B0A0908)
    report("siphash", "c", started, read_timestamp(), hashed)

    started = read_timestamp()
    result = hashtable(entries, KEYS)
    report("hashtable", "exos", started, read_timestamp(), result)
    prepare()
    started = read_timestamp()
    result = hashtable_in_c(addr(entries[0]), len(entries), KEYS)
    report("hashtable", "c", started, read_timestamp(), result)
