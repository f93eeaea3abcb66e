# SPDX-License-Identifier: MIT
"""The few functions that compiled code calls behind the author's back, in the dialect itself.

Formatting of numbers, comparison of bytes, filling, and the memory functions that LLVM expects of every program. They
must never allocate, and never print.
"""

from exokernel.metal.language import asm, export, noinline
from exokernel.metal.types import Array, Ptr, Span, u8, u16, u32, u64


def bytes_equal(left: bytes, right: bytes) -> bool:
    """Whether two byte strings have the same length and content."""
    if len(left) != len(right):
        return False
    for i in range(len(left)):
        if left[i] != right[i]:
            return False
    return True


def fill_2(target: Span[u16], value: u16) -> None:
    for i in range(len(target)):
        target[i] = value


def fill_4(target: Span[u32], value: u32) -> None:
    for i in range(len(target)):
        target[i] = value


def fill_8(target: Span[u64], value: u64) -> None:
    for i in range(len(target)):
        target[i] = value


def format_integer(
    buffer: Span[u8],
    magnitude: u64,
    negative: bool,
    base: u64,
    letters: u8,
    prefix: u8,
    fill: u8,
    align: u8,
    width: u64,
) -> u64:
    """Write a number as Python's format would; the number of bytes. `align` is one of "<>^=" as a byte."""
    digits = Array[u8, 72]()
    first: u64 = 72
    rest = magnitude
    while True:
        digit = u8(rest % base)
        rest = rest // base
        first -= 1
        digits[first] = digit + 48 if digit < 10 else digit - 10 + letters
        if rest == 0:
            break
    sign: u64 = 1 if negative else 0
    marks: u64 = 2 if prefix != 0 else 0
    used = 72 - first + sign + marks
    pad: u64 = 0
    if width > used:
        pad = width - used
    before: u64 = 0
    inside: u64 = 0
    if align == 62:
        before = pad
    if align == 94:
        before = pad // 2
    if align == 61:
        inside = pad
    at: u64 = 0
    for _ in range(before):
        buffer[at] = fill
        at += 1
    if negative:
        buffer[at] = 45
        at += 1
    if prefix != 0:
        buffer[at] = 48
        buffer[at + 1] = prefix
        at += 2
    for _ in range(inside):
        buffer[at] = fill
        at += 1
    for i in range(first, 72):
        buffer[at] = digits[i]
        at += 1
    while at < used + pad:
        buffer[at] = fill
        at += 1
    return at


def format_text(buffer: Span[u8], text: bytes, width: u64, fill: u8, align: u8) -> u64:
    """Write text, padded to `width`; the number of bytes."""
    pad: u64 = 0
    if width > len(text):
        pad = width - len(text)
    before: u64 = 0
    if align == 62:
        before = pad
    if align == 94:
        before = pad // 2
    buffer[:before].fill(fill)
    buffer[before : before + len(text)].copy_from(text)
    total = len(text) + pad
    buffer[before + len(text) : total].fill(fill)
    return total


def continuation_bytes(text: bytes) -> u64:
    """How many bytes of a UTF-8 text do not begin a character."""
    count: u64 = 0
    for byte in text:
        if byte & 0xC0 == 0x80:
            count += 1
    return count


def format_character(buffer: Span[u8], code: u64, width: u64, fill: u8, align: u8) -> u64:
    """Write the character with this code in UTF-8, padded; the number of bytes."""
    encoded = Array[u8, 4]()
    size: u64 = 1
    if code < 0x80:
        encoded[0] = u8(code)
    elif code < 0x800:
        encoded[0] = u8(0xC0 | code >> 6)
        encoded[1] = u8(0x80 | code & 0x3F)
        size = 2
    elif code < 0x10000:
        encoded[0] = u8(0xE0 | code >> 12)
        encoded[1] = u8(0x80 | code >> 6 & 0x3F)
        encoded[2] = u8(0x80 | code & 0x3F)
        size = 3
    else:
        assert code < 0x110000
        encoded[0] = u8(0xF0 | code >> 18)
        encoded[1] = u8(0x80 | code >> 12 & 0x3F)
        encoded[2] = u8(0x80 | code >> 6 & 0x3F)
        encoded[3] = u8(0x80 | code & 0x3F)
        size = 4
    wide = width + size - 1 if width > 0 else width
    return format_text(buffer, encoded[:size], wide, fill, align)


def padding(buffer: Span[u8], length: u64, width: u64, fill: u8, where: u8, side: u8) -> u64:
    """Fill `buffer` with what stands on one side (0 before, 1 after) of a text of `length`; the number of bytes.

    `where` is "a" (text first), "b" (text last) or "c" (centred).
    """
    if length >= width:
        return 0
    pad = width - length
    before: u64 = 0
    if where == 98:
        before = pad
    if where == 99:
        before = pad // 2
    count = before if side == 0 else pad - before
    buffer[:count].fill(fill)
    return count


output_bytes: Array[u8, 65536] = Array[u8, 65536]()
output_length: u64 = 0


@noinline
def keep_output(text: bytes) -> None:
    """What `print` writes to on the workstation: a buffer that is read after the call."""
    global output_length
    for byte in text:
        if output_length < 65536:
            output_bytes[output_length] = byte
            output_length += 1


@export
def memcpy(target: Ptr[u8], source: Ptr[u8], size: u64) -> Ptr[u8]:
    """ISO C 7.24.2.1. Eight bytes a step: a `rep` counts once per step."""
    asm(
        "mov rcx, rdx; shr rcx, 3; rep movsq; mov rcx, rdx; and ecx, 7; rep movsb",
        "{rdi},{rsi},{rdx},~{rdi},~{rsi},~{rcx},~{memory},~{flags}", target, source, size,
    )  # fmt: skip
    return target


@export
def memmove(target: Ptr[u8], source: Ptr[u8], size: u64) -> Ptr[u8]:
    """ISO C 7.24.2.2."""
    if u64(target) - u64(source) >= size:
        return memcpy(target, source, size)
    asm(
        "std; lea rsi, [rsi + rdx - 1]; lea rdi, [rdi + rdx - 1]; mov rcx, rdx; rep movsb; cld",
        "{rdi},{rsi},{rdx},~{rdi},~{rsi},~{rcx},~{memory},~{flags}", target, source, size,
    )  # fmt: skip
    return target


@export
def memset(target: Ptr[u8], value: u32, size: u64) -> Ptr[u8]:
    """ISO C 7.24.6.1."""
    pattern = u64(value & 0xFF) * 0x0101010101010101
    asm(
        "mov rcx, rdx; shr rcx, 3; rep stosq; mov rcx, rdx; and ecx, 7; rep stosb",
        "{rdi},{rax},{rdx},~{rdi},~{rcx},~{memory},~{flags}", target, pattern, size,
    )  # fmt: skip
    return target


@export
def memcmp(left: Ptr[u8], right: Ptr[u8], size: u64) -> u32:
    """ISO C 7.24.4.1, and `bcmp`: zero if equal."""
    for i in range(size):
        if left[i] != right[i]:
            return 1 if left[i] > right[i] else 0xFFFFFFFF
    return 0


@export
def bcmp(left: Ptr[u8], right: Ptr[u8], size: u64) -> u32:
    """POSIX.1-2001: zero if equal."""
    return memcmp(left, right, size)


MEMORY_FUNCTIONS = [memcpy, memmove, memset, memcmp, bcmp]
for _function in MEMORY_FUNCTIONS:
    # Without this LLVM would see their bodies as calls of themselves.
    _function.__metal__["no_builtins"] = True  # type: ignore[attr-defined]
