# SPDX-License-Identifier: MIT
"""Translation of an inspected handler to machine code that cannot leave its arena, whatever is in its registers.

**The window.** Addresses in a handler are 32-bit offsets into 4 GiB of address space of which only the handler's own pages
are mapped, with 64 KiB of nothing above. Every address is computed in 32 bits and added to `r12`, so it lies in the
window; what is not mapped there faults, and the fault ends the handler. This is what segments were on the 32-bit PC. No
compare, so nothing to mispredict. A register's low half, once moved to `r11`, serves all accesses through that register
until it changes: a positive distance of 16 bits from it ends in what is not mapped above the window. Accesses through r10
need not even that: it changes by calls alone.

**Below the data.** Pages are coarser than packets. The data end where a page ends and are the lowest thing in the arena,
so whatever lies past their end faults, and what might lie below their beginning is compared with that, unless inspection
has seen that it cannot. The frames are one page. The context's page cannot be written and holds nothing else.

**The budget.** In a program that loops each backward jump and each call takes what it may cost from `r9`: the length of
what it jumps back over, or of the function. Between two of these control only moves forward, so a handler executes at
most its budget and once the length of its functions. A program without loops is bounded by its longest path.

The page below the window is the kernel's (`Record`); a handler cannot reach it. Registers: r12 is the window, r9 the
budget, r10 and r11 are for the moment; eBPF's r0 is `rax`, r1 to r5 are where System V passes arguments but the fourth,
which is `rcx`. No jump leads into the middle of anything: all targets are instructions that inspection has seen.
"""

from exokernel.aegis.ebpf import *
from exokernel.aegis.inspection import (
    ALL,
    DATA,
    FUNCTION,
    KIND,
    KNOWN,
    SECOND,
    TARGET,
    Inspection,
    distance_of,
    target_of,
)
from exokernel.metal import Array, Span, i32, noinline, offsetof, struct, u8, u32, u64

# The arena, by offsets in the window: what lies on both sides of each part is not mapped.
DATA_END = 0x1A0000  # the data end here
CONTEXT = 0x1B0000
FRAMES = 0x1C0000
STATE = 0x1D0000
RECORD = 4096  # from the window down to the record
EFFECTS = 4  # copies, and frames to be sent, of one run
NOBODY = 255


@struct
class Record:
    """What a running handler's code, and its helpers, share with who runs it."""

    stack: u64  # where the handler was entered: who ends it continues at `Translation.abort` with its status in `rax`
    result: u64  # for who enters it
    lowest: u64  # offset of the first byte of the data
    end: u64  # and of what is behind them
    frames: u64  # of the first byte of the frames
    state: u64  # of the state; 0: there is none
    state_bytes: u64
    ended: u64  # a helper met what ends the handler: a Reason
    clock: u64  # nanoseconds since the machine started
    helpers: Array[u64, HELPERS]  # addresses; each gets r1, r2, r3 and this record's own address
    copy_room: u64  # how many copies may still be made
    copies: u64
    copy_to: Array[u64, EFFECTS]  # addresses
    copied: Array[u32, EFFECTS]  # bytes
    tags: Array[u32, EFFECTS]
    send_room: u64
    sends: u64
    send_from: Array[u64, EFFECTS]  # addresses where frames to be sent are put together
    sent: Array[u32, EFFECTS]  # bytes
    may_wake: u64  # bit n: environment n may be woken
    woken: u64
    next: u64  # the environment that is to run; NOBODY


@struct
class Translation:
    """As with `Inspection`, memory that ends behind the places of the program's slots will do."""

    length: u64  # bytes; 0 when there was no room
    abort: u64  # where a handler that is to be ended continues
    # Called with the window in r12, r1 in rdi, r2 in rsi, the budget in r9, r10 in rbp. Gives r0 in rax and in rdx
    # Reason << 32 | the instruction's number, or 0. Keeps r12.
    enter: u64
    asks: u64  # bit n: it calls helper n
    named: u32  # the registers that it can read, as bits
    turn: u32  # what is being done with all slots: 0, looking; then writing, twice
    slot: u64  # that is next
    held: u8  # see `Code`
    places: Array[u32, LIMIT + 1]  # of each slot's machine code, and of its end


# Numbers of the machine's registers.
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
R8, R9, R10, R11, R12, R13, R14, R15 = range(8, 16)
REGISTER: Final[Array[u8, 11]] = Array[u8, 11]([RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, RBP])

# Opcodes of two-operand arithmetic `operation r/m, r`, and their numbers in `81 /n`, by eBPF operation.
ADD, OR, AND, SUB, XOR, CMP = 0x01, 0x09, 0x21, 0x29, 0x31, 0x39
TEST, MOV = 0x85, 0x89
SIMPLE: Final[Array[u8, 16]] = Array[u8, 16]([ADD, SUB, 0, 0, OR, AND, 0, 0, 0, 0, XOR, MOV, 0, 0, 0, 0])
# Second bytes of `0f 8x`, by eBPF jump: e, a, ae, (test) ne, ne, g, ge, b, be, l, le.
CONDITION: Final[Array[u8, 16]] = Array[u8, 16](
    [0, 0x84, 0x87, 0x83, 0x85, 0x85, 0x8F, 0x8D, 0, 0, 0x82, 0x86, 0x8C, 0x8E, 0, 0]
)


NONE = 0xFF


@struct
class Code:
    """Machine code being written. What does not fit is counted, not written."""

    bytes: Span[u8]
    length: u64
    held: u8  # the register whose low half r11 holds, or NONE

    @noinline
    def byte(self, value: u8) -> None:
        if self.length < len(self.bytes):
            self.bytes[self.length] = value
        self.length += 1

    def two(self, first: u8, second: u8) -> None:
        self.byte(first)
        self.byte(second)

    def three(self, first: u8, second: u8, third: u8) -> None:
        self.two(first, second)
        self.byte(third)

    @noinline
    def word(self, value: u32) -> None:
        for i in range(4):
            self.byte(u8(value >> (8 * i)))

    @noinline
    def prefix(self, wide: bool, register: u8, index: u8, base: u8) -> None:
        """REX; always written: it makes the low bytes of `rsi` and `rdi` addressable, and lengths the same."""
        self.byte(0x40 | u8(wide) << 3 | (register >> 3) << 2 | (index >> 3) << 1 | base >> 3)

    @noinline
    def operate(self, wide: bool, opcode: u8, register: u8, operand: u8) -> None:
        """`opcode operand, register`, of two registers; `register` may be the opcode's number."""
        self.prefix(wide, register, 0, operand)
        self.two(opcode, 0xC0 | (register & 7) << 3 | (operand & 7))

    def extended(self, wide: bool, opcode: u8, register: u8, operand: u8) -> None:
        """The same of an opcode that begins with 0f."""
        self.prefix(wide, register, 0, operand)
        self.three(0x0F, opcode, 0xC0 | (register & 7) << 3 | (operand & 7))

    def move(self, wide: bool, to: u8, origin: u8) -> None:
        self.operate(wide, MOV, origin, to)

    def constant(self, wide: bool, to: u8, value: i32) -> None:
        """`to` becomes the immediate, its sign extended, or 32 bits of it."""
        self.operate(wide, 0xC7, 0, to)
        self.word(u32(value))

    def push(self, register: u8) -> None:
        self.prefix(False, 0, 0, register)
        self.byte(0x50 | register & 7)

    def pop(self, register: u8) -> None:
        self.prefix(False, 0, 0, register)
        self.byte(0x58 | register & 7)

    def window(self, wide: bool, register: u8) -> None:
        """The prefix of an instruction on [r12 + r11]."""
        self.prefix(wide, register, R11, R12)

    def at_window(self, register: u8) -> None:
        """Its operands: register, [r12 + r11]."""
        self.two(0x04 | (register & 7) << 3, (R11 & 7) << 3 | R12 & 7)

    def compare_exchange(self, wide: bool, register: u8) -> None:
        """If [r12 + r11] is rax it becomes `register`, else rax becomes it."""
        self.byte(0xF0)
        self.window(wide, register)
        self.two(0x0F, 0xB1)
        self.at_window(register)

    def record(self, wide: bool, opcode: u8, register: u8, place: u64) -> None:
        """`opcode register, [record + place]`."""
        self.prefix(wide, register, 0, R12)
        self.three(opcode, 0x84 | (register & 7) << 3, 0x24)
        self.word(u32(place) - RECORD)

    def leave(self, translation: Translation, reason: u32, slot: u64) -> None:
        """End the handler here."""
        self.byte(0x48)  # mov rax, imm64
        self.byte(0xB8)
        self.word(u32(slot))
        self.word(reason)
        self.byte(0xE9)
        self.word(u32(translation.abort) - u32(self.length) - 4)


LEAVE = 15  # bytes of the code that `leave` writes


def translate(program: Span[u64], work: Inspection, loops: bool, space: Span[u8], translation: Translation) -> None:
    """Write the machine code of a program that `inspect` has accepted, with these results. `loops`: whether it is to be
    charged. Twice: first to learn where everything will be, since all instructions have the same length both times.
    """
    begin(translation)
    go_on(program, work, loops, space, translation, ALL)


def begin(translation: Translation) -> None:
    """A program is to be translated; nothing else of `translation` need be clear."""
    translation.length = 0
    translation.held = NONE
    translation.asks = 0
    translation.named = 0
    translation.turn = 0
    translation.slot = 0


def go_on(
    program: Span[u64], work: Inspection, loops: bool, space: Span[u8], translation: Translation, steps: u64
) -> bool:
    """Do so many steps, a few more at most, of the translation that was begun. True: it is whole, or has no room."""
    code = Code(space, translation.length, translation.held)
    left = steps
    while translation.turn <= 2:
        slot = translation.slot
        if slot < len(program):
            if left == 0:
                translation.length = code.length
                translation.held = code.held
                return False
            if translation.turn == 0:
                left -= 1
                _look(program, work, translation)
            else:
                left -= min(left, WRITE)
                translation.places[slot] = u32(code.length)
                if work.slots[slot].marks & (TARGET | FUNCTION):
                    code.held = NONE
                if work.slots[slot].marks & SECOND == 0:
                    _instruction(code, program, slot, work, loops, translation)
            translation.slot += 1
            continue
        translation.places[slot] = u32(code.length)
        if translation.turn != 0 and code.length > len(space):
            translation.length = 0
            return True
        translation.turn += 1
        translation.slot = 0
        if translation.turn <= 2:
            code.length = 0
            _frame(code, translation)
    translation.length = code.length
    return True


WRITE = 8  # steps, to write the code of an instruction


def _look(program: Span[u64], work: Inspection, translation: Translation) -> None:
    """What the slot's instruction names: registers, and helpers, which are given some."""
    if work.slots[translation.slot].marks & SECOND:
        return
    instruction = Instruction(program[translation.slot])
    translation.named |= u32(1) << instruction.destination | u32(1) << instruction.source
    if instruction.calls_helper():
        translation.named |= 14
        translation.asks |= u64(1) << helper_index(instruction.unsigned_immediate)


def _frame(code: Code, translation: Translation) -> None:
    """How the handler is ended, and entered: the first function follows."""
    translation.abort = code.length
    code.move(True, RDX, RAX)
    code.record(True, 0x8B, RSP, offsetof(Record, "stack"))
    code.byte(0xC3)
    translation.enter = code.length
    code.record(True, MOV, RSP, offsetof(Record, "stack"))
    for i in range(FRAME_POINTER):
        if i != 1 and i != 2 and translation.named >> u32(i) & 1:
            code.operate(False, XOR, REGISTER[i], REGISTER[i])  # nothing of ours is left where a handler could read it


def _instruction(
    code: Code, program: Span[u64], slot: u64, work: Inspection, loops: bool, translation: Translation
) -> None:
    instruction = Instruction(program[slot])
    family = instruction.family()
    if family == Class.ALU or family == Class.ALU64:
        _arithmetic(code, instruction)
    elif instruction.opcode == LOAD_WIDE:
        to = REGISTER[instruction.destination]
        code.prefix(True, 0, 0, to)
        code.byte(0xB8 | to & 7)
        code.word(instruction.unsigned_immediate)
        code.word(u32(program[slot + 1] >> 32))
    elif instruction.opcode == EXIT:
        if slot < u64(work.slots[0].length):
            code.operate(False, XOR, RDX, RDX)
        code.byte(0xC3)
    elif instruction.calls_helper():
        _help(code, helper_index(instruction.unsigned_immediate), slot, translation)
    elif instruction.opcode == CALL:
        target = u64(target_of(instruction, slot))
        if loops:
            _charge(code, u32(work.slots[target].length), slot, translation)
        _call(code, target, translation)
    elif family == Class.JMP or family == Class.JMP32:
        _jump(code, instruction, slot, loops, translation)
    else:
        _memory(code, instruction, slot, work, translation)
    if not _keeps(instruction, code.held):
        code.held = NONE


def _keeps(instruction: Instruction, held: u8) -> bool:
    """Whether r11 still holds the low half of `held` behind an instruction that goes on there."""
    uses = USES[instruction.opcode]
    if uses & JUMP or uses & WRITES == 0:
        return uses & READS != 0 and uses & ATOMIC == 0  # a condition, a store
    operation = instruction.operation()
    family = instruction.family()
    if family == Class.ALU or family == Class.ALU64:
        if operation == Operation.LSH or operation == Operation.RSH or operation == Operation.ARSH:
            return False
        if operation == Operation.DIV or operation == Operation.MOD:
            return False
    return REGISTER[instruction.destination] != held


# ---- arithmetic


def _arithmetic(code: Code, instruction: Instruction) -> None:
    operation = instruction.operation()
    wide = instruction.family() == Class.ALU64
    to, other = REGISTER[instruction.destination], REGISTER[instruction.source]
    immediate = instruction.immediate()
    if operation == Operation.LSH or operation == Operation.RSH or operation == Operation.ARSH:
        _shift(code, wide, operation, to, other, instruction)
    elif operation == Operation.DIV or operation == Operation.MOD:
        if instruction.by_register():
            code.move(wide, R10, other)
        else:
            code.constant(wide, R10, immediate)
        _divide(code, wide, to, operation == Operation.MOD, instruction.unsigned_offset == 1)
    elif operation == Operation.NEG:
        code.operate(wide, 0xF7, 3, to)
    elif operation == Operation.END:
        _swap(code, to, instruction.unsigned_immediate, wide or instruction.by_register())
    elif operation == Operation.MUL:
        if instruction.by_register():
            code.extended(wide, 0xAF, to, other)
        else:
            code.operate(wide, 0x69, to, to)
            code.word(u32(immediate))
    elif operation == Operation.MOV and not instruction.by_register():
        code.constant(wide, to, immediate)
    elif operation == Operation.MOV and instruction.unsigned_offset != 0:
        if instruction.unsigned_offset == 32:
            code.operate(True, 0x63, to, other)
        else:
            code.extended(wide, u8(0xBE) if instruction.unsigned_offset == 8 else u8(0xBF), to, other)
    elif instruction.by_register():
        code.operate(wide, SIMPLE[operation >> 4], other, to)
    else:
        code.operate(wide, 0x81, SIMPLE[operation >> 4] >> 3, to)
        code.word(u32(immediate))


def _shift(code: Code, wide: bool, operation: u8, to: u8, other: u8, instruction: Instruction) -> None:
    """The machine masks its count as eBPF does, and clears the upper half even when a 32-bit count is 0."""
    number: u8 = 4 if operation == Operation.LSH else (5 if operation == Operation.RSH else 7)
    if not instruction.by_register():
        code.operate(wide, 0xC1, number, to)
        code.byte(u8(instruction.unsigned_immediate) & (63 if wide else 31))
    elif other == RCX:
        code.operate(wide, 0xD3, number, to)
    elif to == RCX:
        code.move(True, R10, RCX)
        code.move(False, RCX, other)
        code.operate(wide, 0xD3, number, R10)
        code.move(True, RCX, R10)
    else:
        code.move(True, R11, RCX)
        code.move(False, RCX, other)
        code.operate(wide, 0xD3, number, to)
        code.move(True, RCX, R11)


def _divide(code: Code, wide: bool, to: u8, remainder: bool, signed: bool) -> None:
    """`to` by r10 (RFC 9669 section 4.1): by 0 it is 0, the remainder `to`; the lowest number by -1 is itself."""
    after = code.length + (u64(43) if signed else u64(33))
    code.operate(wide, TEST, R10, R10)
    code.two(0x75, 5)
    if remainder:
        code.move(wide, to, to)
    else:
        code.operate(False, XOR, to, to)
    code.two(0xEB, u8(after - code.length - 2))
    if signed:
        code.operate(wide, 0x83, 7, R10)
        code.two(0xFF, 0x75)
        code.byte(5)
        if remainder:
            code.operate(False, XOR, to, to)
        else:
            code.operate(wide, 0xF7, 3, to)
        code.two(0xEB, u8(after - code.length - 2))
    code.push(RAX)
    code.push(RDX)
    code.move(wide, RAX, to)
    if signed:
        code.prefix(wide, 0, 0, 0)
        code.byte(0x99)  # cdq, cqo
    else:
        code.operate(False, XOR, RDX, RDX)
    code.operate(wide, 0xF7, 6 + u8(signed), R10)
    code.move(wide, R11, u8(RDX) if remainder else u8(RAX))
    code.pop(RDX)
    code.pop(RAX)
    code.move(wide, to, R11)
    assert code.length == after


def _swap(code: Code, to: u8, width: u32, swaps: bool) -> None:
    """Change the byte order, or only cut to the width: this machine is little-endian."""
    if swaps and width == 16:
        code.byte(0x66)
        code.operate(False, 0xC1, 0, to)  # rol 8
        code.byte(8)
    elif swaps:
        code.prefix(width == 64, 0, 0, to)
        code.two(0x0F, 0xC8 | to & 7)
    if width == 16:
        code.extended(False, 0xB7, to, to)
    elif width == 32:
        code.move(False, to, to)


# ---- control


def _charge(code: Code, amount: u32, slot: u64, translation: Translation) -> None:
    code.operate(False, 0x81, 5, R9)
    code.word(amount)
    code.two(0x79, LEAVE)  # jns
    code.leave(translation, Reason.OVER_BUDGET, slot)


def _goto(code: Code, target: u64, translation: Translation) -> None:
    """The distance of a jump that ends here."""
    code.word(translation.places[target] - u32(code.length) - 4)


def _call(code: Code, target: u64, translation: Translation) -> None:
    kept = Array[u8, 4]([RBX, R13, R14, R15])
    for register in kept:
        code.push(register)
    code.operate(False, 0x81, 5, RBP)
    code.word(FRAME_BYTES)
    code.byte(0xE8)
    _goto(code, target, translation)
    code.operate(False, 0x81, 0, RBP)
    code.word(FRAME_BYTES)
    for i in range(4):
        code.pop(kept[3 - i])


def _help(code: Code, index: u64, slot: u64, translation: Translation) -> None:
    """Helpers get r1 to r3 where System V has its first three arguments, and the record as the fourth. Nothing of theirs
    is left in a register but the answer.
    """
    if index == 1:
        code.record(True, 0x8B, RAX, offsetof(Record, "state"))
    else:
        code.push(R9)
        code.record(True, 0x8D, RCX, 0)  # lea
        code.record(False, 0xFF, 2, offsetof(Record, "helpers") + index * 8)
        code.pop(R9)
    for register in Array[u8, 5]([RDI, RSI, RDX, RCX, R8]):
        code.operate(False, XOR, register, register)
    if TAKES_ADDRESS[index]:
        code.record(False, 0x83, 7, offsetof(Record, "ended"))
        code.byte(0)
        code.two(0x74, LEAVE)  # je
        code.leave(translation, Reason.WILD_ACCESS, slot)


def _jump(code: Code, instruction: Instruction, slot: u64, loops: bool, translation: Translation) -> None:
    wide = instruction.family() == Class.JMP
    target = u64(target_of(instruction, slot))
    operation = instruction.operation()
    charged = loops and target <= slot
    to, other = REGISTER[instruction.destination], REGISTER[instruction.source]
    if operation != Jump.ALWAYS:
        if instruction.by_register():
            code.operate(wide, u8(TEST) if operation == Jump.SET else u8(CMP), other, to)
        elif operation == Jump.SET:
            code.operate(wide, 0xF7, 0, to)
            code.word(instruction.unsigned_immediate)
        else:
            code.operate(wide, 0x81, 7, to)
            code.word(instruction.unsigned_immediate)
        condition = CONDITION[operation >> 4]
        if not charged:
            code.two(0x0F, condition)
            _goto(code, target, translation)
            return
        code.two((condition ^ 1) - 0x10, CHARGED_JUMP)  # the opposite, short, over what follows
    if charged:
        _charge(code, u32(slot - target) + 1, slot, translation)
    code.byte(0xE9)
    _goto(code, target, translation)


CHARGED_JUMP = 7 + 2 + LEAVE + 5


# ---- memory


def _memory(code: Code, instruction: Instruction, slot: u64, work: Inspection, translation: Translation) -> None:
    uses = USES[instruction.opcode]
    family = instruction.family()
    through = instruction.source if family == Class.LDX else instruction.destination
    to = REGISTER[instruction.destination if family == Class.LDX else instruction.source]
    size = instruction.size()
    index: u8 = R11
    displacement: u32 = 0
    if through == FRAME_POINTER and uses & ATOMIC == 0:
        index = RBP
        displacement = u32(instruction.offset())
    else:
        kind = work.kind(slot, through)
        within = kind & KNOWN != 0
        if within and kind & KIND == DATA:
            within = distance_of(kind) + instruction.offset() >= 0
        if within and instruction.offset() >= 0 and uses & ATOMIC == 0:
            if code.held != REGISTER[through]:
                code.held = REGISTER[through]
                code.move(False, R11, code.held)
            displacement = instruction.unsigned_offset
        else:
            _address(code, REGISTER[through], instruction, within, slot, translation)
    if uses & ATOMIC:
        _atomic(code, instruction, size == 8, to)
        return
    if family != Class.LDX and size == 2:
        code.byte(0x66)
    extends = instruction.opcode & 0xE0 == Mode.MEMSX
    if family == Class.ST:
        to = 0
    code.prefix(size == 8 or extends, to, index, R12)
    if family == Class.LDX:
        _load_opcode(code, size, extends)
    elif family == Class.ST:
        code.byte(0xC7 - u8(size == 1))
    else:
        code.byte(MOV - u8(size == 1))
    code.two(0x84 | (to & 7) << 3, (index & 7) << 3 | R12 & 7)  # [r12 + index + displacement]
    code.word(displacement)
    if family == Class.ST:
        for i in range(min(size, 4)):
            code.byte(u8(instruction.unsigned_immediate >> u32(8 * i)))


def _load_opcode(code: Code, size: u64, extends: bool) -> None:
    if size == 8 or (size == 4 and not extends):
        code.byte(0x8B)
    elif size == 4:
        code.byte(0x63)
    else:
        code.two(0x0F, 0xB6 + (u8(extends) << 3) + (u8(size) >> 1))


def _address(code: Code, base: u8, instruction: Instruction, within: bool, slot: u64, translation: Translation) -> None:
    """`r11` becomes the offset that an access through `base` means, in 32 bits; not below the data."""
    code.held = NONE
    code.prefix(False, R11, 0, base)
    code.two(0x8D, 0x80 | (R11 & 7) << 3 | base & 7)
    code.word(u32(instruction.offset()))
    if not within:
        code.record(False, 0x3B, R11, offsetof(Record, "lowest"))
        code.two(0x73, LEAVE)  # jae
        code.leave(translation, Reason.WILD_ACCESS, slot)


def _atomic(code: Code, instruction: Instruction, wide: bool, other: u8) -> None:
    """On what r11 names. The operations without an instruction of their own that gives the old value are a loop."""
    operation = instruction.unsigned_immediate
    simple = SIMPLE[(operation >> 4) & 15]
    if operation == Atomic.CMPXCHG:
        code.compare_exchange(wide, other)
        if not wide:
            code.move(False, RAX, RAX)
    elif operation == Atomic.XCHG:
        code.window(wide, other)
        code.byte(0x87)
        code.at_window(other)
    elif operation & Atomic.FETCH == 0 or operation == Atomic.ADD | Atomic.FETCH:
        code.byte(0xF0)
        code.window(wide, other)
        if operation & Atomic.FETCH:
            code.two(0x0F, 0xC1)
        else:
            code.byte(simple)
        code.at_window(other)
    else:
        code.push(R9)
        code.push(RAX)
        code.move(wide, R9, other)
        code.window(wide, RAX)
        code.byte(0x8B)
        code.at_window(RAX)
        again = code.length
        code.move(wide, R10, RAX)
        code.operate(wide, simple, R9, R10)
        code.compare_exchange(wide, R10)
        code.two(0x75, u8(again - code.length - 2))
        code.move(wide, R10, RAX)
        code.pop(RAX)
        code.pop(R9)
        code.move(wide, other, R10)
