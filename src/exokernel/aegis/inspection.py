# SPDX-License-Identifier: MIT
"""Inspection of a handler before it is accepted: is each instruction well formed, does control stay inside its
function, do functions end and never call themselves, is every register written before it is read, and is what is used
as an address one; and what does the longest path cost.

No promise of safety rests on the *kinds* of registers that are computed here: the translation confines every access and
bounds every loop whatever is in a register. They refuse mistakes early, with the instruction's number, and say where a
check may be left out without another result. There are no value ranges, hence no widening and nothing to get subtly
wrong. Everything here is bounded by the length of the program, and writes nothing but its working memory.
"""

from exokernel.aegis.ebpf import *
from exokernel.metal import Array, Span, i16, i32, i64, inline, struct, u8, u16, u32, u64

ROUNDS = 64  # over the program, until the kinds do not change any more
VISITS = 16  # of each instruction, on average, at most: a kernel keeps everybody waiting meanwhile

# What a slot is.
SECOND = 1  # the second half of a wide instruction
FUNCTION = 2  # a function begins here
OPEN = 4  # on the path that the search is following
DONE = 8  # and all that follows from it
TARGET = 32  # a jump leads here
STALE = 16  # reached with kinds that have not been followed yet

# What is in a register: the kind in the low byte; KNOWN adds a distance from the kind's origin in the upper half.
UNSEEN = 0  # no path leads here yet
UNDEFINED = 1
NUMBER = 2  # certainly no address
ANY = 3  # loaded from memory, or mixed: perhaps an address
DATA = 4  # into the packet, or the memory that the handler was given
FRAME = 5  # into a frame; a known distance is from this function's r10
CONTEXT = 6  # into the XDP context
STATE = 7  # into the handler's state
KIND = 0xFF
KNOWN = 0x100


class Profile(IntEnum):
    """What a program is given: MEMORY, r1 its memory and r2 how many bytes; PACKET, r1 the XDP context."""

    MEMORY = 0
    PACKET = 1


class ContextField(IntEnum):
    """Offsets in XDP's context, six fields of 4 bytes; the addresses are 32 bits, as everywhere in a handler."""

    DATA = 0
    DATA_END = 4
    DATA_META = 8
    BYTES = 24


@struct
class Verdict:
    reason: u32  # a Reason; NONE when the program is accepted
    place: u32  # the instruction's number
    cost: u32  # instructions on the longest path; the bound of all paths only if the program does not loop
    loops: u32


@struct
class Inspection:
    """Working memory, and what the translation needs to know of an accepted program."""

    marks: Array[u8, LIMIT]
    depths: Array[u8, LIMIT]  # functions active below this point
    edges: Array[u8, LIMIT]  # how many successors the search has followed
    path: Array[u16, LIMIT]
    costs: Array[u32, LIMIT]
    lengths: Array[u16, LIMIT]  # of the function that begins there, in slots
    kinds: Array[u32, LIMIT * REGISTERS]  # before each instruction
    now: Array[u32, REGISTERS]
    again: u64  # whether a slot that is behind us must be looked at once more

    def kind(self, slot: u64, register: u8) -> u32:
        return self.kinds[slot * REGISTERS + register]


def inspect(program: Span[u64], profile: u64, work: Inspection, verdict: Verdict) -> None:
    """Fill `verdict`: the first reason found against `program`, or none and the cost."""
    verdict.place = 0
    verdict.cost = 0
    verdict.loops = 0
    if len(program) == 0:
        verdict.reason = Reason.EMPTY
        return
    if len(program) > LIMIT:
        verdict.reason = Reason.TOO_LONG
        return
    work.marks[: len(program)].fill(0)
    verdict.reason = _encodings(program, work, verdict)
    if verdict.reason == 0:
        verdict.reason = _targets(program, work, verdict)
    if verdict.reason == 0:
        verdict.reason = _functions(program, work, verdict)
    if verdict.reason == 0:
        verdict.reason = _paths(program, work, verdict)
    if verdict.reason == 0:
        verdict.reason = _flow(program, profile, work, verdict)


# ---- each instruction for itself


def _encodings(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    for slot in range(len(program)):
        if work.marks[slot] & SECOND:
            continue
        verdict.place = u32(slot)
        instruction = Instruction(program[slot])
        reason = malformed(instruction)
        if reason != 0:
            return reason
        if instruction.opcode == LOAD_WIDE:
            if instruction.source != 0:
                return Reason.WIDE_RELOCATION
            if slot + 1 == len(program) or program[slot + 1] & 0xFFFFFFFF != 0:
                return Reason.WIDE_HALF
            work.marks[slot + 1] = SECOND
    return Reason.NONE


def malformed(instruction: Instruction) -> u32:
    """What is wrong with an instruction, whatever surrounds it: a Reason."""
    uses = USES[instruction.opcode]
    if uses & VALID == 0:
        return _unknown(instruction.opcode)
    if instruction.destination >= REGISTERS or instruction.source >= REGISTERS:
        return Reason.REGISTER
    if uses & WRITES and instruction.destination == FRAME_POINTER:
        return Reason.FRAME_POINTER_WRITTEN
    if uses & (READS | WRITES) == 0 and instruction.destination != 0:
        return Reason.UNUSED_REGISTER
    if uses & (SOURCE | CALLS) == 0 and instruction.source != 0 and instruction.opcode != LOAD_WIDE:
        return Reason.UNUSED_REGISTER
    offset = instruction.offset()
    if uses & SIGNED:
        if offset != 0 and offset != 1:
            return Reason.SIGNED_OFFSET
    elif uses & EXTENDS:
        wide = instruction.family() == Class.ALU64
        if offset != 0 and offset != 8 and offset != 16 and (offset != 32 or not wide):
            return Reason.EXTENSION
    elif uses & OFFSET == 0 and offset != 0:
        return Reason.UNUSED_OFFSET
    immediate = instruction.unsigned_immediate
    if uses & WIDTH:
        if immediate != 16 and immediate != 32 and immediate != 64:
            return Reason.SWAP_WIDTH
    elif uses & ATOMIC:
        if immediate == 0x100 or immediate == 0x110:
            return Reason.ACQUIRE_RELEASE
        if not _is_atomic(immediate):
            return Reason.ATOMIC_OPERATION
        if immediate & Atomic.FETCH and immediate != Atomic.CMPXCHG and instruction.source == FRAME_POINTER:
            return Reason.FRAME_POINTER_WRITTEN
    elif uses & IMMEDIATE == 0 and immediate != 0:
        return Reason.UNUSED_IMMEDIATE
    if uses & CALLS:
        if instruction.source == 0:
            return Reason.NONE if helper_index(immediate) < HELPERS else Reason.HELPER
        if instruction.source != CALL_LOCAL:
            return Reason.CALL_KIND
    return Reason.NONE


def _is_atomic(immediate: u32) -> bool:
    if immediate == Atomic.XCHG or immediate == Atomic.CMPXCHG:
        return True
    plain = immediate & 0xFFFFFFFE
    return plain == Atomic.ADD or plain == Atomic.OR or plain == Atomic.AND or plain == Atomic.XOR


def _unknown(opcode: u8) -> u32:
    family = opcode & 7
    if family == Class.LD and (opcode & 0xE0 == 0x20 or opcode & 0xE0 == 0x40):
        return Reason.PACKET_GROUP
    if opcode == 0x8D:
        return Reason.CALL_BY_REGISTER
    if opcode == 0xE5 or opcode == 0x0D:
        return Reason.NOT_STANDARD
    return Reason.UNKNOWN_OPCODE


# ---- where control goes


@inline
def target_of(instruction: Instruction, slot: u64) -> i64:
    """Where a jump or a local call leads; it may be outside the program."""
    if instruction.opcode == CALL or instruction.opcode == Class.JMP32:
        return i64(slot) + 1 + instruction.immediate()
    return i64(slot) + 1 + instruction.offset()


@inline
def ends(instruction: Instruction) -> bool:
    """Whether control never reaches the next slot: an exit, or a jump without a condition."""
    return instruction.opcode == EXIT or instruction.opcode == Class.JMP or instruction.opcode == Class.JMP32


def _targets(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """Every target is an instruction; functions begin where calls lead."""
    work.marks[0] |= FUNCTION
    for slot in range(len(program)):
        instruction = Instruction(program[slot])
        uses = USES[instruction.opcode]
        if work.marks[slot] & SECOND or uses & (JUMP | CALLS) == 0 or instruction.calls_helper():
            continue
        verdict.place = u32(slot)
        target = target_of(instruction, slot)
        if target < 0 or target >= i64(len(program)):
            return Reason.JUMP_OUTSIDE
        if work.marks[u64(target)] & SECOND:
            return Reason.JUMP_INTO_WIDE
        work.marks[u64(target)] |= u8(FUNCTION) if uses & CALLS else u8(TARGET)
    return Reason.NONE


def _functions(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """Jumps stay inside their function, and control does not run past its end."""
    begin: u64 = 0
    while begin < len(program):
        end = begin + 1
        last = begin  # instruction, not slot
        while end < len(program) and work.marks[end] & FUNCTION == 0:
            if work.marks[end] & SECOND == 0:
                last = end
            end += 1
        for slot in range(begin, end):
            instruction = Instruction(program[slot])
            if work.marks[slot] & SECOND == 0 and USES[instruction.opcode] & JUMP:
                target = target_of(instruction, slot)
                if target < i64(begin) or target >= i64(end):
                    verdict.place = u32(slot)
                    return Reason.JUMP_ACROSS
        if not ends(Instruction(program[last])):
            verdict.place = u32(last)
            return Reason.FALLS_THROUGH
        work.lengths[begin] = u16(end - begin)
        begin = end
    return Reason.NONE


def _successor(program: Span[u64], slot: u64, edge: u8) -> u64:
    """The first (0: the next instruction) and second (1: where it jumps or calls) successor; LIMIT if there is none."""
    instruction = Instruction(program[slot])
    if edge == 0:
        if ends(instruction):
            return LIMIT
        return slot + (2 if instruction.opcode == LOAD_WIDE else 1)
    if USES[instruction.opcode] & (JUMP | CALLS) and not instruction.calls_helper():
        return u64(target_of(instruction, slot))
    return LIMIT


def _paths(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """A depth-first search, calls followed as jumps are: finds loops, recursion, the depth of calls and the longest path.

    A call to a function that the search is still inside of is a circle of calls, and every circle has one. A jump to a
    slot on the search's path is a loop.
    """
    work.costs[: len(program)].fill(0)
    work.depths[: len(program)].fill(0)
    work.edges[: len(program)].fill(0)
    work.path[0] = 0
    work.marks[0] |= OPEN
    height: u64 = 1
    while height > 0:
        slot = u64(work.path[height - 1])
        calls = program[slot] & 0xFF == CALL and not Instruction(program[slot]).calls_helper()
        if work.edges[slot] < 2:
            following = _successor(program, slot, work.edges[slot])
            through = calls and work.edges[slot] == 1
            work.edges[slot] += 1
            if following == LIMIT:
                continue
            marks = work.marks[following]
            if marks & OPEN:
                verdict.place = u32(slot)
                if through:
                    return Reason.RECURSION
                verdict.loops = 1
            elif marks & DONE == 0:
                work.marks[following] |= OPEN
                work.path[height] = u16(following)
                height += 1
            continue
        # Both successors are done, or are on the path.
        first = _successor(program, slot, 0)
        second = _successor(program, slot, 1)
        first_cost: u32 = 0 if first == LIMIT else work.costs[first]
        second_cost: u32 = 0 if second == LIMIT else work.costs[second]
        first_depth: u8 = 0 if first == LIMIT else work.depths[first]
        second_depth: u8 = 0 if second == LIMIT else work.depths[second]
        if calls:
            # A sum may double with each call, so it saturates.
            work.costs[slot] = min(first_cost, 0x40000000) + min(second_cost, 0x40000000) + 1
            second_depth += 1
        else:
            work.costs[slot] = max(first_cost, second_cost) + 1
        work.depths[slot] = max(first_depth, second_depth)
        if work.depths[slot] >= DEPTH:
            verdict.place = u32(slot)
            return Reason.CALL_DEPTH
        work.marks[slot] = (work.marks[slot] & ~OPEN) | DONE
        height -= 1
    verdict.cost = work.costs[0]
    return Reason.NONE


# ---- what is in the registers


@inline
def known(kind: u32, distance: i32) -> u32:
    """A kind at a distance from its origin."""
    return u32(distance) << 16 | KNOWN | kind


@inline
def distance_of(kind: u32) -> i32:
    """Of a kind that is KNOWN."""
    return i32(i16(u16(kind >> 16)))


@inline
def is_address(kind: u32) -> bool:
    return kind & KIND >= DATA


def join(a: u32, b: u32) -> u32:
    """What is in a register where two paths meet."""
    if a == b or b == UNSEEN:
        return a
    if a == UNSEEN:
        return b
    if a == UNDEFINED or b == UNDEFINED:
        return UNDEFINED
    return a & KIND if a & KIND == b & KIND else u32(ANY)


def _flow(program: Span[u64], profile: u64, work: Inspection, verdict: Verdict) -> u32:
    """Follow the kinds through the program until they do not change any more. A kind only ever gets weaker, and a reason
    found against a strong kind stands against every weaker one, so the first one is the verdict.
    """
    work.kinds[: len(program) * REGISTERS].fill(UNSEEN)
    work.now.fill(UNDEFINED)
    work.now[1] = known(CONTEXT if profile == Profile.PACKET else DATA, 0)
    if profile == Profile.MEMORY:
        work.now[2] = NUMBER
    work.now[FRAME_POINTER] = known(FRAME, 0)
    _arrive(work, 0, LIMIT)
    begin: u64 = 0
    visits: u64 = 0
    for _ in range(ROUNDS):
        work.again = 0
        for slot in range(len(program)):
            if work.marks[slot] & FUNCTION:
                begin = slot
            if work.marks[slot] & STALE == 0:
                continue
            work.marks[slot] &= ~STALE
            verdict.place = u32(slot)
            visits += 1
            if visits > VISITS * len(program):
                return Reason.TANGLED
            work.now.copy_from(work.kinds[slot * REGISTERS : (slot + 1) * REGISTERS])
            instruction = Instruction(program[slot])
            reason = _step(instruction, begin == 0, work)
            if reason != 0:
                return reason
            if instruction.opcode == CALL and not instruction.calls_helper():
                _call(work, slot, u64(target_of(instruction, slot)))
            elif USES[instruction.opcode] & JUMP:
                _arrive(work, u64(target_of(instruction, slot)), slot)
            if not ends(instruction):
                _arrive(work, slot + (2 if instruction.opcode == LOAD_WIDE else 1), slot)
        if not work.again:
            return Reason.NONE
    return Reason.TANGLED


def _arrive(work: Inspection, target: u64, slot: u64) -> None:
    """`slot` continues at `target` with the kinds `now`."""
    before = work.kinds[target * REGISTERS : (target + 1) * REGISTERS]
    for register in range(REGISTERS):
        if before[register] == work.now[register]:
            continue
        joined = join(before[register], work.now[register])
        if joined != before[register]:
            before[register] = joined
            work.marks[target] |= STALE
            if target <= slot:
                work.again = 1


def _call(work: Inspection, slot: u64, target: u64) -> None:
    """The callee gets r1 to r5, and a frame of its own; the caller keeps r6 to r9 and gets r0."""
    kept: Array[u32, REGISTERS] = Array[u32, REGISTERS]()
    kept.copy_from(work.now)
    for register in range(REGISTERS):
        kind = work.now[register]
        if register == 0 or register > 5:
            work.now[register] = UNDEFINED
        elif kind & KIND == FRAME:
            work.now[register] = FRAME  # the caller's: not at a distance from the callee's r10
    work.now[FRAME_POINTER] = known(FRAME, 0)
    _arrive(work, target, slot)
    work.now.copy_from(kept)
    work.now[0] = ANY
    for register in range(1, 6):
        work.now[register] = UNDEFINED


def _step(instruction: Instruction, in_main: bool, work: Inspection) -> u32:
    """Change the kinds `now` as the instruction does; what speaks against it."""
    uses = USES[instruction.opcode]
    destination, source = u64(instruction.destination), u64(instruction.source)
    if uses & READS and work.now[destination] == UNDEFINED:
        return Reason.UNINITIALISED
    if uses & SOURCE and work.now[source] == UNDEFINED:
        return Reason.UNINITIALISED
    family = instruction.family()
    if family == Class.ALU or family == Class.ALU64:
        work.now[destination] = _computed(instruction, work.now[destination], work.now[source])
    elif instruction.opcode == EXIT:
        # A local function may have no result; the register still holds a number of the program's own.
        if in_main and work.now[0] == UNDEFINED:
            return Reason.NO_RESULT
    elif instruction.opcode == LOAD_WIDE:
        work.now[destination] = NUMBER
    elif instruction.calls_helper():
        return _help(helper_index(instruction.unsigned_immediate), work)
    elif family == Class.LDX:
        kind = work.now[source]
        work.now[destination] = ANY
        if kind & KIND == CONTEXT:
            return _read_context(instruction, kind, work)
        return _access(instruction, kind)
    elif family == Class.ST or family == Class.STX:
        if work.now[destination] & KIND == CONTEXT:
            return Reason.CONTEXT_WRITE
        reason = _access(instruction, work.now[destination])
        if reason != 0 or uses & ATOMIC == 0:
            return reason
        if instruction.unsigned_immediate == Atomic.CMPXCHG:
            if work.now[0] == UNDEFINED:
                return Reason.UNINITIALISED
            work.now[0] = ANY
        elif instruction.unsigned_immediate & Atomic.FETCH:
            work.now[source] = ANY
    return Reason.NONE


def _help(index: u64, work: Inspection) -> u32:
    """A helper's arguments, and what is in the registers after it."""
    for i in range(u64(ARGUMENTS[index])):
        kind = work.now[1 + i] & KIND
        if kind == UNDEFINED:
            return Reason.UNINITIALISED
        if i == 0 and TAKES_ADDRESS[index]:
            if kind == NUMBER or kind == CONTEXT:
                return Reason.HELPER_ADDRESS
        elif is_address(kind):
            return Reason.HELPER_NUMBER
    for register in range(1, 6):
        work.now[register] = UNDEFINED
    work.now[0] = known(STATE, 0) if index == 1 else u32(NUMBER)
    return Reason.NONE


def _access(instruction: Instruction, kind: u32) -> u32:
    """What speaks against a load or store through a register of this kind."""
    if kind == NUMBER:
        return Reason.NUMBER_AS_ADDRESS
    if kind & (KIND | KNOWN) == FRAME | KNOWN:
        begin = distance_of(kind) + instruction.offset()
        if begin < -FRAME_BYTES or begin + i32(instruction.size()) > 0:
            return Reason.FRAME_RANGE
    return Reason.NONE


def _read_context(instruction: Instruction, kind: u32, work: Inspection) -> u32:
    if kind & KNOWN == 0 or instruction.size() != 4 or instruction.opcode & 0xE0 != Mode.MEM:
        return Reason.CONTEXT_READ
    place = distance_of(kind) + instruction.offset()
    if place < 0 or place >= ContextField.BYTES or place & 3:
        return Reason.CONTEXT_READ
    loaded: u32 = NUMBER
    if place == ContextField.DATA or place == ContextField.DATA_META:
        loaded = known(DATA, 0)
    elif place == ContextField.DATA_END:
        loaded = ANY
    work.now[u64(instruction.destination)] = loaded
    return Reason.NONE


def _computed(instruction: Instruction, destination: u32, source: u32) -> u32:
    """The kind of an arithmetic instruction's result."""
    operation = instruction.operation()
    other: u32 = source if instruction.by_register() and operation != Operation.END else u32(NUMBER)
    if operation == Operation.MOV:
        if other == NUMBER or (instruction.family() == Class.ALU64 and instruction.offset() == 0):
            return other
        return ANY
    if destination == NUMBER and other == NUMBER:
        return NUMBER
    if instruction.family() != Class.ALU64 or (operation != Operation.ADD and operation != Operation.SUB):
        return ANY
    if is_address(destination) and other == NUMBER:
        if destination & KNOWN and not instruction.by_register():
            amount = i64(instruction.immediate())
            moved = distance_of(destination) + (amount if operation == Operation.ADD else -amount)
            if moved >= -0x8000 and moved <= 0x7FFF:
                return known(destination & KIND, i32(moved))
        return destination & KIND
    if operation == Operation.ADD and destination == NUMBER and is_address(other):
        return other & KIND
    return ANY
