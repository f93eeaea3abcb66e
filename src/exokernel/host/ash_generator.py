# SPDX-License-Identifier: MIT
"""Random handlers for the differential tests: translated and interpreted they must do the same.

Most are accepted: registers are written before they are read, and what is used as an address is probably one. Where they
go wrong they do so on purpose: wild addresses, loops without an end, tight budgets. The same seed gives the same program.
"""

from dataclasses import dataclass
from random import Random

from exokernel.aegis.ebpf import Atomic, Class, Helper, Jump, Mode, Operation

EDGES = (
    0,
    1,
    2,
    7,
    8,
    15,
    16,
    31,
    32,
    33,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    2**31 - 1,
    2**31,
)
OPERATIONS = [o for o in Operation if o != Operation.END]
CONDITIONS = [j for j in Jump if j not in (Jump.ALWAYS, Jump.CALL, Jump.EXIT)]
SIZES = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}
ATOMICS = [a | f for a in (Atomic.ADD, Atomic.OR, Atomic.AND, Atomic.XOR) for f in (0, Atomic.FETCH)]
ATOMICS += [Atomic.XCHG, Atomic.CMPXCHG]


def instruction(opcode: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One slot."""
    fields = (opcode & 0xFF, source << 4 | destination)
    return bytes(fields) + (offset & 0xFFFF).to_bytes(2, "little") + (immediate & 0xFFFFFFFF).to_bytes(4, "little")


def wide(destination: int, value: int) -> bytes:
    """Two slots: a 64-bit immediate."""
    return instruction(0x18, destination, immediate=value) + instruction(0, immediate=value >> 32)


@dataclass(frozen=True)
class Case:
    """What is run: a program, its memory, its budget."""

    program: bytes
    data: bytes
    budget: int


class Generator:
    """Makes cases from a seed; `helpers`: they call these."""

    def __init__(self, seed: int, helpers: bool = True) -> None:
        self.random = Random(seed)
        self.helpers = helpers

    def value(self) -> int:
        """A number that is likely to be at some edge."""
        kind = self.random.randrange(4)
        if kind == 0:
            return self.random.getrandbits(64)
        value = self.random.choice(EDGES) << (32 if kind == 3 else 0)
        return (-value if self.random.randrange(2) else value) & (1 << 64) - 1

    def case(self) -> Case:
        """The next one."""
        random = self.random
        data = random.randbytes(random.choice((8, 16, 24, 64, 100)))
        functions = [self.function(random.randrange(4, 24), main=True, size=len(data))]
        while random.randrange(3) == 0 and len(functions) < 4:
            functions.append(self.function(random.randrange(2, 10), main=False, size=len(data)))
        return Case(self.link(functions), data, random.choice((2000, 2000, 2000, 150)))

    def link(self, functions: list[list[bytes]]) -> bytes:
        """Jumps are given in items of their function, calls as the number of functions ahead of theirs."""
        starts, slot = [], 0
        for function in functions:
            places = []
            for item in function:
                places.append(slot)
                slot += len(item) // 8
            starts.append(places)
        program = bytearray()
        for index, function in enumerate(functions):
            for place, (at, item) in enumerate(zip(starts[index], function, strict=True)):
                opcode, fields = item[0], bytearray(item)
                offset = int.from_bytes(item[2:4], "little", signed=True)
                if opcode & 7 in (Class.JMP, Class.JMP32) and opcode not in (0x85, 0x95):
                    target = max(0, min(len(function) - 1, place + 1 + offset))
                    distance = starts[index][target] - at - 1
                    if opcode == 0x06:
                        fields[2:8] = bytes(2) + distance.to_bytes(4, "little", signed=True)
                    else:
                        fields[2:4] = distance.to_bytes(2, "little", signed=True)
                elif opcode == 0x85 and item[1]:
                    callee = index + item[4]
                    if callee < len(functions):
                        fields[4:8] = (starts[callee][0] - at - 1).to_bytes(4, "little", signed=True)
                    else:
                        fields = bytearray(instruction(0xB7, 0, immediate=7))
                program += fields
        return bytes(program)

    def function(self, length: int, main: bool, size: int) -> list[bytes]:
        """A list of items, each an instruction, or two slots that belong together."""
        random = self.random
        pointers = {1, 10} if main else {10}
        items: list[bytes] = []
        if main and random.randrange(2):
            items.append(instruction(0xBF, 6 + random.randrange(4), 1))
            pointers.add(items[0][1] & 15)
        for register in range(10):
            # In a function, r1 to r5 are what the caller left there.
            if register not in pointers and (main or register > 5 or register == 0):
                items.append(wide(register, self.value()))
        if not main:
            pointers |= {random.randrange(1, 6)}
        for _ in range(length):
            items += self.step(pointers, size)
        for register in range(1, 10):
            items.append(instruction(0x27, 0, immediate=31))
            items.append(instruction(random.choice((0x0F, 0xAF)), 0, register))
        items.append(instruction(0x95))
        return items

    def step(self, pointers: set[int], size: int) -> list[bytes]:
        random = self.random
        kind = random.randrange(20)
        if self.helpers and random.randrange(16) == 0:
            return self.help(pointers, size)
        if kind < 8:
            return [self.arithmetic(pointers)]
        if kind < 12:
            return [self.access(pointers, size)]
        if kind < 14:
            return self.burst(pointers, size)
        if kind < 17:
            back = random.randrange(6) == 0
            distance = -random.randrange(1, 6) if back else random.randrange(0, 5)
            condition = random.choice(CONDITIONS) | random.choice((0, 8)) | random.choice((5, 6))
            if condition & 8:
                return [instruction(condition, random.randrange(11), random.randrange(11), distance)]
            return [instruction(condition, random.randrange(11), 0, distance, self.value())]
        if kind == 17:
            distance = random.randrange(0, 3)
            return [instruction(random.choice((0x05, 0x06)), offset=distance)]
        if kind == 18:
            pointers -= {1, 2, 3, 4, 5}
            again = [wide(register, self.value()) for register in range(1, 6)]
            return [instruction(0x85, 0, 1, 0, random.randrange(1, 4)), *again]
        register = random.randrange(10)
        pointers.discard(register)
        return [wide(register, self.value())]

    def help(self, pointers: set[int], size: int) -> list[bytes]:
        """A helper's call: mostly with what it wants, sometimes with lengths and addresses that reach too far."""
        random = self.random
        helper = random.choice(list(Helper))
        items = []
        if helper in (Helper.COPY, Helper.TRANSMIT):
            base = random.choice(sorted(pointers))
            items.append(instruction(0xBF, 1, base))
            items.append(
                instruction(
                    0x07, 1, immediate=random.randrange(-512, 0) if base == 10 else random.choice((0, 0, 1, 8, -8))
                )
            )
            length = random.choice((random.randrange(size + 2), size, random.randrange(64), 0, 13, 14, 1514, 1515))
            items += [wide(2, length), wide(3, self.value())]
        else:
            items.append(wide(1, random.choice((0, 0, 1, 63, 64, self.value()))))
        pointers -= {0, 1, 2, 3, 4, 5}
        if helper == Helper.STATE:
            pointers.add(0)
        again = [wide(register, self.value()) for register in range(1, 6)]
        return [*items, instruction(0x85, immediate=helper), *again]

    def arithmetic(self, pointers: set[int]) -> bytes:
        random = self.random
        operation = random.choice(OPERATIONS)
        family = random.choice((Class.ALU, Class.ALU64))
        destination, source = random.randrange(10), random.randrange(11)
        moved = destination in pointers
        if operation != Operation.MOV and moved and random.randrange(3):
            operation = Operation.ADD
            family = Class.ALU64
        if random.randrange(12) == 0:
            swap, width = random.choice((0xD4, 0xDC, 0xD7)), random.choice((16, 32, 64))
            return instruction(swap, destination, 0, 0, width)
        if operation == Operation.NEG:
            return instruction(family | operation, destination)
        by_register = random.randrange(2) == 0
        if operation == Operation.MOV:
            offset = random.choice((0, 0, 8, 16, 32 if family == Class.ALU64 else 0)) if by_register else 0
            if by_register and source in pointers:
                pointers.add(destination)
            else:
                pointers.discard(destination)
            if by_register:
                return instruction(family | 8 | operation, destination, source, offset)
            return instruction(family | operation, destination, 0, 0, self.value())
        offset = random.randrange(2) if operation in (Operation.DIV, Operation.MOD) else 0
        if by_register and not (moved and operation == Operation.ADD):
            return instruction(family | 8 | operation, destination, source, offset)
        immediate = random.randrange(-16, 17) if moved and operation == Operation.ADD else self.value()
        return instruction(family | operation, destination, 0, offset, immediate)

    def burst(self, pointers: set[int], size: int) -> list[bytes]:
        """Accesses through one register, between which it moves, or something else does."""
        base = self.random.choice(sorted(pointers))
        items = []
        for _ in range(self.random.randrange(2, 5)):
            if base not in pointers:
                break
            items.append(self.access(pointers, size, base))
            if base != 10 and base in pointers and self.random.randrange(2):
                items.append(instruction(0x07, base, 0, 0, self.random.randrange(-2, 8)))
            elif self.random.randrange(3) == 0:
                items.append(self.arithmetic(pointers))
        return items

    def access(self, pointers: set[int], size: int, base: int | None = None) -> bytes:
        random = self.random
        if base is None:
            base = random.choice(sorted(pointers))
        width = random.choice((1, 2, 4, 8))
        offset = random.randrange(-512, -7) if base == 10 else random.randrange(0, max(1, size - 7))
        if random.randrange(24) == 0 and base != 10:
            offset = random.choice((-1, -8, -4096, size, size - 1, 32767, -32768))
        kind = random.randrange(8)
        source = random.randrange(10)
        if kind < 3:
            mode: int = Mode.MEMSX if random.randrange(3) == 0 and width != 8 else Mode.MEM
            destination = random.randrange(10)
            pointers.discard(destination)
            return instruction(Class.LDX | mode | SIZES[width], destination, base, offset)
        if kind < 5:
            return instruction(Class.STX | Mode.MEM | SIZES[width], base, random.randrange(11), offset)
        if kind == 5:
            return instruction(Class.ST | Mode.MEM | SIZES[width], base, 0, offset, self.value())
        width = random.choice((4, 8))
        operation = random.choice(ATOMICS)
        if operation & Atomic.FETCH:
            pointers.discard(0 if operation == Atomic.CMPXCHG else source)
        return instruction(Class.STX | Mode.ATOMIC | SIZES[width], base, source, offset, operation)
