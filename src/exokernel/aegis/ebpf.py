# SPDX-License-Identifier: MIT
"""eBPF as RFC 9669 defines it: the instruction's fields, which opcodes there are and which fields each of them uses, and
the limits that a handler keeps. Everything that inspection and translation must agree on stands here, once. All
conformance groups but the deprecated `packet`. Nothing here may depend on who runs a program.
"""

from enum import IntEnum
from typing import Final

from exokernel.metal import Array, bits, field, i16, i32, inline, u8, u16, u32, u64

LIMIT = 4096  # slots of 8 bytes in one program
KERNEL_LIMIT = 1024  # in one that a kernel loads: inspecting it keeps everybody else waiting
FRAME_BYTES = 512  # of stack for each function that is active
DEPTH = 8  # functions active at once, so that their frames are one page
REGISTERS = 11
FRAME_POINTER = 10


@bits(u64)
class Instruction:
    """One slot (RFC 9669 section 3). The second slot of a wide instruction has only an immediate."""

    opcode: u8 = field(0, 7)
    destination: u8 = field(8, 11)
    source: u8 = field(12, 15)
    unsigned_offset: u16 = field(16, 31)
    unsigned_immediate: u32 = field(32, 63)

    @inline
    def offset(self) -> i32:
        return i32(i16(self.unsigned_offset))

    @inline
    def immediate(self) -> i32:
        return i32(self.unsigned_immediate)

    @inline
    def family(self) -> u8:
        """The class: the low three bits of the opcode."""
        return self.opcode & 7

    @inline
    def operation(self) -> u8:
        """Of arithmetic and jumps: the high four bits of the opcode."""
        return self.opcode & 0xF0

    @inline
    def by_register(self) -> bool:
        """Of arithmetic and jumps: whether the second operand is a register."""
        return self.opcode & 8 != 0

    @inline
    def calls_helper(self) -> bool:
        return self.opcode == CALL and self.source == 0

    @inline
    def size(self) -> u64:
        """Of loads and stores: bytes that are moved."""
        return u64(SIZES[u64(self.opcode >> 3) & 3])


SIZES: Final[Array[u8, 4]] = Array[u8, 4]([4, 2, 1, 8])


class Class(IntEnum):
    """RFC 9669 table 3."""

    LD = 0
    LDX = 1
    ST = 2
    STX = 3
    ALU = 4
    JMP = 5
    JMP32 = 6
    ALU64 = 7


class Operation(IntEnum):
    """Of arithmetic (section 4.1); END is BSWAP in class ALU64."""

    ADD = 0x00
    SUB = 0x10
    MUL = 0x20
    DIV = 0x30
    OR = 0x40
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    NEG = 0x80
    MOD = 0x90
    XOR = 0xA0
    MOV = 0xB0
    ARSH = 0xC0
    END = 0xD0


class Jump(IntEnum):
    """Section 4.3. ALWAYS takes its distance from `imm` in class JMP32."""

    ALWAYS = 0x00
    EQ = 0x10
    GT = 0x20
    GE = 0x30
    SET = 0x40
    NE = 0x50
    SGT = 0x60
    SGE = 0x70
    CALL = 0x80
    EXIT = 0x90
    LT = 0xA0
    LE = 0xB0
    SLT = 0xC0
    SLE = 0xD0


class Mode(IntEnum):
    """Of loads and stores (section 5): the high three bits of the opcode."""

    MEM = 0x60
    MEMSX = 0x80
    ATOMIC = 0xC0


class Atomic(IntEnum):
    """Section 5.3: the immediate of an atomic instruction. XCHG and CMPXCHG always fetch."""

    ADD = 0x00
    OR = 0x40
    AND = 0x50
    XOR = 0xA0
    FETCH = 0x01
    XCHG = 0xE1
    CMPXCHG = 0xF1


CALL_LOCAL = 1  # in `source` of a call; 0 names a helper, 2 one by its type, which only Linux has
LOAD_WIDE = 0x18
CALL = 0x85
EXIT = 0x95


class Helper(IntEnum):
    """What a call by number does. `r1` to `r5` hold nothing afterwards, `r0` the answer; FAILED: nothing was done."""

    CLOCK = 5  # () -> nanoseconds since the machine started; the only number of Linux's
    STATE = 1001  # () -> the address of the handler's state; 0: it has none
    COPY = 1002  # (address, bytes, tag) -> the Internet checksum's sum of what goes to the owner's ring
    TRANSMIT = 1003  # (address, bytes) -> 0: the frame is sent
    WAKE = 1004  # (environment) -> 0: the environment is told, and runs if it slept
    RUN = 1005  # (environment) -> 0: the same, and in the owner's time it is the next to run


HELPERS = len(Helper)
FAILED = 0xFFFFFFFFFFFFFFFF
OWN_HELPERS = Helper.STATE  # ours are numbered from here on
ARGUMENTS: Final[Array[u8, HELPERS]] = Array[u8, HELPERS]([0, 0, 3, 2, 1, 1])
TAKES_ADDRESS: Final[Array[u8, HELPERS]] = Array[u8, HELPERS]([0, 0, 1, 1, 0, 0])  # in r1


@inline
def helper_index(number: u32) -> u64:
    """Which of the helpers a number means, in the order of `Helper`; HELPERS if none."""
    if number == Helper.CLOCK:
        return 0
    if number < OWN_HELPERS or number >= OWN_HELPERS + HELPERS - 1:
        return HELPERS
    return u64(number - OWN_HELPERS + 1)


# What an instruction does with its fields. A field that it does not use must be zero.
VALID = 1
READS = 2  # the destination register
WRITES = 4  # the destination register
SOURCE = 8  # reads the source register
OFFSET = 16  # any offset
IMMEDIATE = 32  # any immediate
SIGNED = 64  # the offset 1 makes a signed division
EXTENDS = 128  # the offsets 8, 16 and 32 extend the sign
WIDTH = 256  # the immediate is 16, 32 or 64
ATOMIC = 512  # the immediate is an Atomic
JUMP = 1024  # has a target in the same function
CALLS = 2048


def _uses() -> list[int]:
    """What each opcode uses; 0 where there is none."""
    found = [0] * 256
    operations = [o for o in Operation if o not in (Operation.NEG, Operation.MOV, Operation.END)]
    for family in (Class.ALU, Class.ALU64):
        for source, used in ((0, IMMEDIATE), (8, SOURCE)):
            for operation in operations:
                signed = SIGNED if operation in (Operation.DIV, Operation.MOD) else 0
                found[family | source | operation] = VALID | READS | WRITES | used | signed
            found[family | source | Operation.MOV] = VALID | WRITES | used | (EXTENDS if source else 0)
        found[family | Operation.NEG] = found[family | Operation.END] = VALID | READS | WRITES
        found[family | Operation.END] |= WIDTH
    found[Class.ALU | 8 | Operation.END] = found[Class.ALU | Operation.END]
    for family in (Class.JMP, Class.JMP32):
        for jump in Jump:
            if jump not in (Jump.ALWAYS, Jump.CALL, Jump.EXIT):
                found[family | jump] = VALID | READS | OFFSET | IMMEDIATE | JUMP
                found[family | 8 | jump] = VALID | READS | OFFSET | SOURCE | JUMP
    found[Class.JMP] = VALID | OFFSET | JUMP
    found[Class.JMP32] = VALID | IMMEDIATE | JUMP
    found[CALL] = VALID | IMMEDIATE | CALLS
    found[EXIT] = VALID
    found[LOAD_WIDE] = VALID | WRITES | IMMEDIATE
    for size in (0x00, 0x08, 0x10, 0x18):
        found[Class.LDX | Mode.MEM | size] = VALID | WRITES | SOURCE | OFFSET
        if size != 0x18:
            found[Class.LDX | Mode.MEMSX | size] = VALID | WRITES | SOURCE | OFFSET
        found[Class.ST | Mode.MEM | size] = VALID | READS | OFFSET | IMMEDIATE
        found[Class.STX | Mode.MEM | size] = VALID | READS | SOURCE | OFFSET
    for size in (0x00, 0x18):
        found[Class.STX | Mode.ATOMIC | size] = VALID | READS | SOURCE | OFFSET | ATOMIC
    return found


USES: Final[Array[u16, 256]] = Array[u16, 256](_uses())


class Reason(IntEnum):
    """Why a program is refused, and, from OVER_BUDGET on, why it was ended."""

    NONE = 0
    EMPTY = 1
    TOO_LONG = 2
    UNKNOWN_OPCODE = 3
    PACKET_GROUP = 4
    CALL_BY_REGISTER = 5
    NOT_STANDARD = 6
    REGISTER = 7
    FRAME_POINTER_WRITTEN = 8
    UNUSED_REGISTER = 9
    UNUSED_OFFSET = 10
    UNUSED_IMMEDIATE = 11
    SIGNED_OFFSET = 12
    EXTENSION = 13
    SWAP_WIDTH = 14
    ATOMIC_OPERATION = 15
    ACQUIRE_RELEASE = 16
    WIDE_HALF = 17
    WIDE_RELOCATION = 18
    JUMP_OUTSIDE = 19
    JUMP_INTO_WIDE = 20
    JUMP_ACROSS = 21
    FALLS_THROUGH = 22
    HELPER = 23
    CALL_KIND = 24
    RECURSION = 25
    CALL_DEPTH = 26
    UNINITIALISED = 27
    NO_RESULT = 28
    NUMBER_AS_ADDRESS = 29
    FRAME_RANGE = 30
    CONTEXT_WRITE = 31
    CONTEXT_READ = 32
    TANGLED = 33
    NO_ROOM = 34
    COST = 35
    HELPER_ADDRESS = 36
    HELPER_NUMBER = 37
    LONG_FOR_KERNEL = 38
    OVER_BUDGET = 64
    WILD_ACCESS = 65


TEXTS = {
    Reason.NONE: "accepted",
    Reason.EMPTY: "the program has no instruction, or its length is not a multiple of 8 bytes",
    Reason.TOO_LONG: f"the program has more than {LIMIT} instructions",
    Reason.UNKNOWN_OPCODE: "no instruction of RFC 9669 has this opcode",
    Reason.PACKET_GROUP: "the deprecated LD_ABS and LD_IND are not supported: read the packet through `data`",
    Reason.CALL_BY_REGISTER: "calls through a register are not part of RFC 9669",
    Reason.NOT_STANDARD: "this instruction is an extension of Linux's (may_goto, gotox), not part of RFC 9669",
    Reason.REGISTER: "there are only the registers r0 to r10",
    Reason.FRAME_POINTER_WRITTEN: "r10, the frame pointer, cannot be written",
    Reason.UNUSED_REGISTER: "a register field that this instruction does not use is not zero",
    Reason.UNUSED_OFFSET: "this instruction does not use its offset, but that is not zero",
    Reason.UNUSED_IMMEDIATE: "this instruction does not use its immediate, but that is not zero",
    Reason.SIGNED_OFFSET: "the offset of a division is 0 (unsigned) or 1 (signed)",
    Reason.EXTENSION: "a register move extends the sign from 8, 16 or (in 64 bits) 32 bits, or not at all (0)",
    Reason.SWAP_WIDTH: "byte order is changed in 16, 32 or 64 bits",
    Reason.ATOMIC_OPERATION: "no atomic operation of RFC 9669 has this immediate",
    Reason.ACQUIRE_RELEASE: "load-acquire and store-release are not part of RFC 9669: compile for `-mcpu=v3`",
    Reason.WIDE_HALF: "a 64-bit immediate load is two slots, of which the second has only an immediate",
    Reason.WIDE_RELOCATION: "this loads the address of a map or a global variable, and a handler has neither",
    Reason.JUMP_OUTSIDE: "the jump or call leads outside the program",
    Reason.JUMP_INTO_WIDE: "the jump or call leads into the middle of a 64-bit immediate load",
    Reason.JUMP_ACROSS: "the jump leads into another function",
    Reason.FALLS_THROUGH: "the function does not end with `exit` or an unconditional jump",
    Reason.HELPER: "there is no helper with this number",
    Reason.CALL_KIND: "helpers are called by number and local functions by distance, not by type",
    Reason.RECURSION: "functions call each other in a circle",
    Reason.CALL_DEPTH: f"more than {DEPTH} functions can be active at once",
    Reason.UNINITIALISED: "a register is read that was not written on every path (a call ends the values of r1 to r5)",
    Reason.NO_RESULT: "r0, the result, was not written on every path to this exit",
    Reason.NUMBER_AS_ADDRESS: "a number is used as an address",
    Reason.FRAME_RANGE: f"the access lies outside the function's frame of {FRAME_BYTES} bytes below r10",
    Reason.CONTEXT_WRITE: "the context cannot be written",
    Reason.CONTEXT_READ: "the context is read in its own aligned 4-byte fields, at constant offsets",
    Reason.TANGLED: "the loops are too deeply nested to be inspected",
    Reason.NO_ROOM: "the translation needs more room than there is",
    Reason.COST: "the longest path through the program is longer than its budget",
    Reason.HELPER_ADDRESS: "this helper wants the address of bytes in the packet, the frame or the state in r1",
    Reason.HELPER_NUMBER: "this helper wants a number there, not an address",
    Reason.LONG_FOR_KERNEL: f"the program has more than {KERNEL_LIMIT} instructions, the most that a kernel loads",
    Reason.OVER_BUDGET: "the program ran out of its budget",
    Reason.WILD_ACCESS: "the program accessed memory that is not its own",
}
"""For people; the host renders them."""
