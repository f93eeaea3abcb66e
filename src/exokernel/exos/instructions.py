# SPDX-License-Identifier: MIT
"""How long an x86-64 instruction is (Intel SDM volume 2, chapter 2 and appendix A), so that a handler can skip the one
that failed. Pure. It knows lengths only, not meanings: bytes that are no instruction may still get a length.
"""

from typing import Final

from exokernel.metal import Array, Span, u8, u64

LONGEST = 15

# What follows an opcode. Opcodes of the first map, then of the map behind 0F.
MODRM = 1
BYTE = 2  # an immediate byte
WORD = 4  # an immediate of the operand's size, at most 4 bytes
SHORT = 8  # an immediate of 2 bytes
PREFIX = 16
INVALID = 32

REX = 0x40


def _make_table() -> list[int]:
    first, second = [0] * 256, [MODRM] * 256
    for row in range(0, 0x40, 8):  # the eight operations: add, or, ... cmp
        first[row : row + 8] = [MODRM, MODRM, MODRM, MODRM, BYTE, WORD, INVALID, INVALID]
    for opcode in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3):
        first[opcode] = PREFIX
    for opcode in (0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x62, 0x82, 0x9A, 0xC4, 0xC5, 0xCE, 0xD4, 0xD5, 0xD6, 0xEA):
        first[opcode] = INVALID  # in 64-bit mode; 62, C4 and C5 begin vector instructions, which `length` knows
    for opcode in (0x63, *range(0x84, 0x90), *range(0xD0, 0xD4), *range(0xD8, 0xE0), 0xF6, 0xF7, 0xFE, 0xFF):
        first[opcode] = MODRM
    for opcode in (0x6A, *range(0x70, 0x80), 0xA8, *range(0xB0, 0xB8), 0xCD, *range(0xE0, 0xE8), 0xEB):
        first[opcode] = BYTE
    for opcode in (0x68, 0xA9, *range(0xB8, 0xC0), 0xE8, 0xE9):
        first[opcode] = WORD
    for opcode in (0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6):
        first[opcode] = MODRM | BYTE
    for opcode in (0x69, 0x81, 0xC7):
        first[opcode] = MODRM | WORD
    first[0xC2] = first[0xCA] = SHORT
    first[0xC8] = SHORT | BYTE
    ranges = *range(5, 10), *range(0x30, 0x38), *range(0xA0, 0xA3), *range(0xA8, 0xAB), *range(0xC8, 0xD0)
    for opcode in (*ranges, 0xB, 0xE, 0x77):
        second[opcode] = 0
    for opcode in (4, 0xA, 0xC, *range(0x24, 0x28), 0x36, 0x39, *range(0x3B, 0x40), 0x7A, 0x7B, 0xA6, 0xA7):
        second[opcode] = INVALID
    for opcode in (0xF, *range(0x70, 0x74), 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6):
        second[opcode] = MODRM | BYTE
    for opcode in range(0x80, 0x90):
        second[opcode] = WORD
    return first + second


TABLE: Final[Array[u8, 512]] = Array[u8, 512](_make_table())


def length(given: Span[u8]) -> u64:
    """Bytes of the instruction at the start of `given` (15 are always enough); 0 if it is none or not all there."""
    end = min(len(given), LONGEST)
    code = Array[u8, 2 * LONGEST]()  # zeros stand in for what is missing
    code[:end].copy_from(given[:end])
    at: u64 = 0
    short_operand = False
    wide = False
    while at < end and (TABLE[code[at]] == PREFIX or code[at] & 0xF0 == REX):
        short_operand = short_operand or code[at] == 0x66
        wide = code[at] & 0xF8 == REX | 8  # a REX that is not the last prefix is ignored
        at += 1
    opcode = code[at]
    at += 1
    shape = TABLE[opcode]
    table: u64 = 0  # 0 one byte, 1 behind 0F, 2 behind 0F38, 3 behind 0F3A
    if opcode == 0x0F:
        table = 1
        if code[at] == 0x38 or code[at] == 0x3A:
            table = u64(2) if code[at] == 0x38 else u64(3)
            at += 1
    elif opcode == 0xC5:
        table = 1
        at += 1  # as below, what is between a vector prefix and the opcode
    elif opcode == 0xC4 or opcode == 0x62:
        table = u64(code[at] & 7)
        at += u64(2) if opcode == 0xC4 else u64(3)
    if table > 3:
        return 0
    if table != 0:
        opcode = code[at]
        at += 1
        shape = TABLE[256 + u64(opcode)]
        if table == 2:
            shape = MODRM
        elif table == 3:
            shape = MODRM | BYTE
    if shape & INVALID:
        return 0
    if shape & MODRM:
        modrm = code[at]
        at += 1
        mode = modrm >> 6
        if table == 1 and opcode & 0xFC == 0x20:
            mode = 3  # control and debug registers have no other
        if mode != 3 and modrm & 7 == 4:
            if mode == 0 and code[at] & 7 == 5:
                at += 4
            at += 1
        if mode == 1:
            at += 1
        elif mode == 2 or (mode == 0 and modrm & 7 == 5):
            at += 4
        if table == 0 and (opcode == 0xF6 or opcode == 0xF7) and modrm & 0x30 == 0:
            shape |= BYTE if opcode == 0xF6 else WORD  # test, alone in its group, has an immediate
    if shape & BYTE:
        at += 1
    if shape & SHORT:
        at += 2
    if shape & WORD:
        branch = table == 1 or opcode == 0xE8 or opcode == 0xE9
        if table == 0 and wide and opcode & 0xF8 == 0xB8:
            at += 8
        else:
            at += u64(2) if short_operand and not wide and not branch else u64(4)
    if table == 0 and opcode & 0xFC == 0xA0:  # mov with an absolute address; 67 makes it 4 bytes
        at += 8
    return at if at <= end else 0
