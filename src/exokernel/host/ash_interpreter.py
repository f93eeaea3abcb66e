# SPDX-License-Identifier: MIT
"""A plain interpreter of eBPF: the oracle of the differential tests, and `exo ash run --interpret`.

Written from RFC 9669 alone, one instruction after the other, without the tables of `aegis.ebpf`, so that a mistake there
is not made here too. It executes only what inspection has accepted. Slow, and never part of an image.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ROOM, NOBODY, LONGEST_FRAME, SHORTEST_FRAME = 4, 255, 1514, 14
FAILED = (1 << 64) - 1
M32, M64 = (1 << 32) - 1, (1 << 64) - 1


class WildAccess(Exception):
    """Memory that is not the program's."""


class OverBudget(Exception):
    """As its text says."""


@dataclass
class Effects:
    """What helpers find (`clock`, `room` of each kind, `may_wake`) and what they were asked for."""

    clock: int = 0
    room: int = ROOM
    may_wake: int = 1
    copies: tuple[tuple[int, bytes], ...] = ()  # tag, bytes
    frames: tuple[bytes, ...] = ()
    woken: int = 0
    next: int = NOBODY


@dataclass
class Memory:
    """Regions of the arena: the offset of each one's first byte, its bytes, whether it may be written."""

    regions: list[tuple[int, bytearray, bool]] = field(default_factory=list)

    def find(self, address: int, size: int, writing: bool) -> tuple[bytearray, int]:
        for start, data, writable in self.regions:
            if start <= address and address + size <= start + len(data) and (writable or not writing):
                return data, address - start
        raise WildAccess

    def load(self, address: int, size: int) -> int:
        data, at = self.find(address & M32, size, False)
        return int.from_bytes(data[at : at + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        data, at = self.find(address & M32, size, True)
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def signed(value: int, bits: int) -> int:
    """The low bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def divide(a: int, b: int, bits: int, is_signed: bool, remainder: bool) -> int:
    """Section 4.1: truncating; by zero the quotient is zero, the remainder the dividend."""
    if is_signed:
        a, b = signed(a, bits), signed(b, bits)
    if b == 0:
        return a if remainder else 0
    quotient = abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)
    return a - quotient * b if remainder else quotient


def arithmetic(operation: int, a: int, b: int, bits: int, offset: int) -> int:
    """All of class ALU and ALU64 but NEG, MOV and END; `a` and `b` are unsigned and have no more than `bits` bits."""
    count = b & (bits - 1)
    operations: dict[int, Callable[[], int]] = {
        0x0: lambda: a + b,
        0x1: lambda: a - b,
        0x2: lambda: a * b,
        0x3: lambda: divide(a, b, bits, offset == 1, False),
        0x4: lambda: a | b,
        0x5: lambda: a & b,
        0x6: lambda: a << count,
        0x7: lambda: a >> count,
        0x9: lambda: divide(a, b, bits, offset == 1, True),
        0xA: lambda: a ^ b,
        0xC: lambda: signed(a, bits) >> count,
    }
    return operations[operation]()


def holds(operation: int, a: int, b: int, bits: int) -> bool:
    """Whether the condition of a jump holds."""
    sa, sb = signed(a, bits), signed(b, bits)
    return {
        0x1: a == b,
        0x2: a > b,
        0x3: a >= b,
        0x4: a & b != 0,
        0x5: a != b,
        0x6: sa > sb,
        0x7: sa >= sb,
        0xA: a < b,
        0xB: a <= b,
        0xC: sa < sb,
        0xD: sa <= sb,
    }[operation]


SIZES = (4, 2, 1, 8)


class Interpreter:
    """One execution. `pc` is where it is, or was when it ended."""

    def __init__(
        self, program: Sequence[int], memory: Memory, charged: bool, effects: Effects | None = None, state: int = 0
    ) -> None:
        self.effects = effects or Effects()
        self.state = state
        self.program = [
            (raw & 0xFF, raw >> 8 & 15, raw >> 12 & 15, signed(raw >> 16, 16), raw >> 32 & M32) for raw in program
        ]
        self.memory = memory
        self.charged = charged
        self.pc = 0
        targets = {i + 1 + signed(x[4], 32) for i, x in enumerate(self.program) if x[0] == 0x85 and x[2] == 1}
        starts = sorted({0, len(program)} | targets)
        self.lengths = {a: b - a for a, b in itertools.pairwise(starts)}

    def run(self, r1: int, r2: int, r10: int, budget: int) -> int:
        """r0 at the exit. `charged` programs pay for backward jumps and calls, as `aegis.translation` describes.

        Raises WildAccess, OverBudget.
        """
        r = [0, r1, r2, 0, 0, 0, 0, 0, 0, 0, r10]
        calls: list[tuple[int, list[int]]] = []
        program = self.program
        while True:
            opcode, dst, src, offset, unsigned = program[self.pc]
            immediate = signed(unsigned, 32)
            family, high = opcode & 7, opcode >> 4
            following = self.pc + 1
            target = None
            if family in (4, 7):
                bits = 64 if family == 7 else 32
                mask = M64 if family == 7 else M32
                b = r[src] if opcode & 8 else immediate & M64
                if high == 0x8:
                    value = -r[dst]
                elif high == 0xB:
                    value = signed(b, offset) if opcode & 8 and offset else b
                elif high == 0xD:
                    value = int.from_bytes(
                        (r[dst] & (1 << unsigned) - 1).to_bytes(unsigned // 8, "little"),
                        "big" if family == 7 or opcode & 8 else "little",
                    )
                    mask = M64
                else:
                    value = arithmetic(high, r[dst] & mask, b & mask, bits, offset)
                r[dst] = value & mask
            elif opcode == 0x18:
                r[dst] = program[self.pc + 1][4] << 32 | unsigned
                following += 1
            elif family == 1:
                size = SIZES[opcode >> 3 & 3]
                value = self.memory.load(r[src] + offset, size)
                r[dst] = signed(value, 8 * size) & M64 if opcode & 0xE0 == 0x80 else value
            elif family == 2:
                self.memory.store(r[dst] + offset, SIZES[opcode >> 3 & 3], immediate)
            elif family == 3 and opcode & 0xE0 == 0x60:
                self.memory.store(r[dst] + offset, SIZES[opcode >> 3 & 3], r[src])
            elif family == 3:
                self.atomic(r, r[dst] + offset, SIZES[opcode >> 3 & 3], src, unsigned)
            elif opcode == 0x05:
                target = following + offset
            elif opcode == 0x06:
                target = following + immediate
            elif opcode == 0x85 and src == 0:
                r[0] = self.help(unsigned, r[1:4])
            elif opcode == 0x85:
                if self.charged:
                    budget = self.pay(budget, self.lengths[following + immediate])
                calls.append((following, r[6:]))
                r[10] -= 512
                following += immediate
            elif opcode == 0x95:
                if not calls:
                    return r[0]
                following, r[6:] = calls.pop()
            else:
                bits = 64 if family == 5 else 32
                mask = (1 << bits) - 1
                b = r[src] if opcode & 8 else immediate
                if holds(high, r[dst] & mask, b & mask, bits):
                    target = following + offset
            if target is not None:
                if self.charged and target <= self.pc:
                    budget = self.pay(budget, self.pc - target + 1)
                following = target
            self.pc = following

    def pay(self, budget: int, amount: int) -> int:
        if amount > budget:
            raise OverBudget
        return budget - amount

    def help(self, number: int, given: list[int]) -> int:
        """What a helper answers, and notes of what it was asked."""
        effects, (first, second, third) = self.effects, given
        if number == 5:
            return effects.clock
        if number == 1001:
            return self.state
        if number in (1002, 1003):
            done, shortest = (effects.copies, 1) if number == 1002 else (effects.frames, SHORTEST_FRAME)
            if not shortest <= second <= LONGEST_FRAME or len(done) >= effects.room:
                return FAILED
            data, at = self.memory.find(first & M32, second, True)  # the context cannot be given
            found = bytes(data[at : at + second])
            if number == 1003:
                effects.frames += (found,)
                return 0
            effects.copies += ((third & M32, found),)
            total = sum(int.from_bytes(found[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, second, 2))
            while total > 0xFFFF:
                total = (total & 0xFFFF) + (total >> 16)
            return total
        if first >= 64 or not effects.may_wake >> first & 1:
            return FAILED
        effects.woken |= 1 << first
        if number == 1005:
            effects.next = first
        return 0

    def atomic(self, r: list[int], address: int, size: int, src: int, operation: int) -> None:
        """Section 5.3."""
        mask = (1 << 8 * size) - 1
        old = self.memory.load(address, size)
        given = r[src] & mask
        if operation == 0xF1:
            new = given if old == r[0] & mask else old
        elif operation == 0xE1:
            new = given
        else:
            new = {0x00: old + given, 0x40: old | given, 0x50: old & given, 0xA0: old ^ given}[operation & ~1]
        self.memory.store(address, size, new)
        if operation == 0xF1:
            r[0] = old
        elif operation & 1:
            r[src] = old
