# SPDX-License-Identifier: MIT
"""Inspection of a handler before it is accepted: is each instruction well formed, does control stay inside its
function, do functions end and never call themselves, is every register written before it is read, and is what is used
as an address one; and what does the longest path cost.

No promise of safety rests on the *kinds* of registers that are computed here: the translation confines every access and
bounds every loop whatever is in a register. They refuse mistakes early, with the instruction's number, and say where a
check may be left out without another result. There are no value ranges, hence no widening and nothing to get subtly
wrong. Everything here is bounded by the length of the program, and writes nothing but its working memory. It is done in pieces
of a few steps: a kernel keeps everybody else waiting meanwhile.
"""

from exokernel.aegis.ebpf import *
from exokernel.metal import Array, Span, i16, i32, i64, inline, noinline, struct, u8, u16, u32, u64

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


class Stage(IntEnum):
    """What is done to a program, one after the other: each from the first slot to the last."""

    ENCODINGS = 0
    TARGETS = 1
    LENGTHS = 2
    FUNCTIONS = 3
    PATHS = 4
    FLOW = 5
    DONE = 6


@struct
class Slot:
    """What is known of one slot, and of the instruction that begins there."""

    cost: u32
    kinds: Array[u32, REGISTERS]  # before the instruction
    length: u16  # of the function that begins there, in slots
    path: u16  # the n-th slot has the n-th place of the search's path
    marks: u8
    depth: u8  # functions active below this point
    edges: u8  # how many successors the search has followed


@struct
class Inspection:
    """Working memory, and what the translation needs to know of an accepted program. Of the slots only as many are used as
    the program has: memory that ends behind them will do.
    """

    stage: u64
    slot: u64  # that is next; all of the program's: the stage has ended
    left: u64  # steps of this piece
    begin: u64  # of the function in which the slot is
    second: bool  # the slot is the second half of a wide instruction
    height: u64  # of the search's path
    rounds: u64
    visits: u64
    again: u64  # whether a slot that is behind us must be looked at once more
    now: Array[u32, REGISTERS]
    slots: Array[Slot, LIMIT]

    def kind(self, slot: u64, register: u8) -> u32:
        return self.slots[slot].kinds[register]


VISIT = 8  # steps, to follow the kinds through an instruction; whatever else is done to a slot is one
ALL = 1 << 63  # steps


def inspect(program: Span[u64], profile: u64, work: Inspection, verdict: Verdict) -> None:
    """Fill `verdict`: the first reason found against `program`, or none and the cost."""
    begin(work, verdict)
    go_on(program, profile, work, verdict, ALL)


def begin(work: Inspection, verdict: Verdict) -> None:
    """A program is to be inspected; nothing else of `work` need be clear."""
    verdict.reason = Reason.NONE
    verdict.place = 0
    verdict.cost = 0
    verdict.loops = 0
    work.stage = Stage.ENCODINGS
    work.slot = 0
    work.second = False


def go_on(program: Span[u64], profile: u64, work: Inspection, verdict: Verdict, steps: u64) -> bool:
    """Do so many steps, a few more at most, of the inspection that was begun. True: the verdict is found."""
    if len(program) == 0 or len(program) > LIMIT:
        verdict.reason = u32(Reason.EMPTY) if len(program) == 0 else u32(Reason.TOO_LONG)
        return True
    work.left = steps
    while work.stage != Stage.DONE:
        verdict.reason = _stage(program, work, verdict)
        if verdict.reason != 0:
            return True
        if work.slot < len(program):
            return False
        work.stage += 1
        work.slot = 0
        work.begin = 0
        if work.stage == Stage.TARGETS:
            work.slots[0].marks |= FUNCTION
        elif work.stage == Stage.PATHS:
            _begin_paths(work)
        elif work.stage == Stage.FLOW:
            _begin_flow(profile, work)
    return True


def _stage(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """Go on with the stage until it or the piece ends."""
    if work.stage == Stage.ENCODINGS:
        return _encodings(program, work, verdict)
    if work.stage == Stage.TARGETS:
        return _targets(program, work, verdict)
    if work.stage == Stage.LENGTHS:
        return _lengths(program, work)
    if work.stage == Stage.FUNCTIONS:
        return _functions(program, work, verdict)
    if work.stage == Stage.PATHS:
        return _paths(program, work, verdict)
    return _flow(program, work, verdict)


@noinline
def _step(program: Span[u64], work: Inspection) -> bool:
    """Whether there is a slot left to be looked at in this piece."""
    if work.slot == len(program) or work.left == 0:
        return False
    work.left -= 1
    return True


# ---- each instruction for itself


def _encodings(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    while _step(program, work):
        slot = work.slot
        clear(work.slots[slot])
        work.slot += 1
        if work.second:
            work.slots[slot].marks = SECOND
            work.second = False
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
            work.second = True
    return Reason.NONE


def clear(slot: Slot) -> None:
    """Nothing is known of it."""
    slot.cost = 0
    slot.kinds.fill(UNSEEN)
    slot.marks = 0
    slot.depth = 0
    slot.edges = 0


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
    while _step(program, work):
        slot = work.slot
        work.slot += 1
        instruction = Instruction(program[slot])
        uses = USES[instruction.opcode]
        if work.slots[slot].marks & SECOND or uses & (JUMP | CALLS) == 0 or instruction.calls_helper():
            continue
        verdict.place = u32(slot)
        target = target_of(instruction, slot)
        if target < 0 or target >= i64(len(program)):
            return Reason.JUMP_OUTSIDE
        if work.slots[u64(target)].marks & SECOND:
            return Reason.JUMP_INTO_WIDE
        work.slots[u64(target)].marks |= u8(FUNCTION) if uses & CALLS else u8(TARGET)
    return Reason.NONE


def _lengths(program: Span[u64], work: Inspection) -> u32:
    """A function ends where the next one begins."""
    while _step(program, work):
        if work.slots[work.slot].marks & FUNCTION:
            work.begin = work.slot
        work.slot += 1
        work.slots[work.begin].length = u16(work.slot - work.begin)
    return Reason.NONE


def _functions(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """Jumps stay inside their function, and control does not run past its end."""
    while _step(program, work):
        slot = work.slot
        work.slot += 1
        if work.slots[slot].marks & FUNCTION:
            work.begin = slot
        if work.slots[slot].marks & SECOND:
            continue
        verdict.place = u32(slot)
        instruction = Instruction(program[slot])
        end = work.begin + work.slots[work.begin].length
        if USES[instruction.opcode] & JUMP:
            target = target_of(instruction, slot)
            if target < i64(work.begin) or target >= i64(end):
                return Reason.JUMP_ACROSS
        if slot + width(instruction) == end and not ends(instruction):
            return Reason.FALLS_THROUGH
    return Reason.NONE


@inline
def width(instruction: Instruction) -> u64:
    """In slots."""
    return 1 + u64(instruction.opcode == LOAD_WIDE)


@noinline
def _successor(program: Span[u64], slot: u64, edge: u8) -> u64:
    """The first (0: the next instruction) and second (1: where it jumps or calls) successor; LIMIT if there is none."""
    instruction = Instruction(program[slot])
    if edge == 0:
        if ends(instruction):
            return LIMIT
        return slot + width(instruction)
    if USES[instruction.opcode] & (JUMP | CALLS) and not instruction.calls_helper():
        return u64(target_of(instruction, slot))
    return LIMIT


def _begin_paths(work: Inspection) -> None:
    work.slots[0].path = 0
    work.slots[0].marks |= OPEN
    work.height = 1


def _paths(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """A depth-first search, calls followed as jumps are: finds loops, recursion, the depth of calls and the longest path.

    A call to a function that the search is still inside of is a circle of calls, and every circle has one. A jump to a
    slot on the search's path is a loop.
    """
    while work.height > 0:
        if work.left == 0:
            return Reason.NONE
        work.left -= 1
        slot = u64(work.slots[work.height - 1].path)
        calls = program[slot] & 0xFF == CALL and not Instruction(program[slot]).calls_helper()
        if work.slots[slot].edges < 2:
            following = _successor(program, slot, work.slots[slot].edges)
            through = calls and work.slots[slot].edges == 1
            work.slots[slot].edges += 1
            if following == LIMIT:
                continue
            marks = work.slots[following].marks
            if marks & OPEN:
                verdict.place = u32(slot)
                if through:
                    return Reason.RECURSION
                verdict.loops = 1
            elif marks & DONE == 0:
                work.slots[following].marks |= OPEN
                work.slots[work.height].path = u16(following)
                work.height += 1
            continue
        # Both successors are done, or are on the path.
        first = _successor(program, slot, 0)
        second = _successor(program, slot, 1)
        first_cost: u32 = 0 if first == LIMIT else work.slots[first].cost
        second_cost: u32 = 0 if second == LIMIT else work.slots[second].cost
        first_depth: u8 = 0 if first == LIMIT else work.slots[first].depth
        second_depth: u8 = 0 if second == LIMIT else work.slots[second].depth
        if calls:
            # A sum may double with each call, so it saturates.
            work.slots[slot].cost = min(first_cost, 0x40000000) + min(second_cost, 0x40000000) + 1
            second_depth += 1
        else:
            work.slots[slot].cost = max(first_cost, second_cost) + 1
        work.slots[slot].depth = max(first_depth, second_depth)
        if work.slots[slot].depth >= DEPTH:
            verdict.place = u32(slot)
            return Reason.CALL_DEPTH
        work.slots[slot].marks = (work.slots[slot].marks & ~OPEN) | DONE
        work.height -= 1
    verdict.cost = work.slots[0].cost
    work.slot = len(program)
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


def _begin_flow(profile: u64, work: Inspection) -> None:
    work.rounds = 1
    work.visits = 0
    work.again = 0
    work.now.fill(UNDEFINED)
    work.now[1] = known(CONTEXT if profile == Profile.PACKET else DATA, 0)
    if profile == Profile.MEMORY:
        work.now[2] = NUMBER
    work.now[FRAME_POINTER] = known(FRAME, 0)
    _arrive(work, 0, LIMIT)


def _flow(program: Span[u64], work: Inspection, verdict: Verdict) -> u32:
    """Follow the kinds through the program until they do not change any more. A kind only ever gets weaker, and a reason
    found against a strong kind stands against every weaker one, so the first one is the verdict.
    """
    while True:
        if work.slot == len(program):
            if not work.again:
                return Reason.NONE
            if work.rounds == ROUNDS:
                return Reason.TANGLED
            work.slot = 0
            work.rounds += 1
            work.again = 0
        if not _step(program, work):
            return Reason.NONE
        slot = work.slot
        if work.slots[slot].marks & FUNCTION:
            work.begin = slot
        work.slot += 1
        if work.slots[slot].marks & STALE == 0:
            continue
        work.left -= min(work.left, VISIT - 1)
        work.slots[slot].marks &= ~STALE
        verdict.place = u32(slot)
        work.visits += 1
        if work.visits > VISITS * len(program):
            return Reason.TANGLED
        work.now.copy_from(work.slots[slot].kinds)
        instruction = Instruction(program[slot])
        reason = _follow(instruction, work.begin == 0, work)
        if reason != 0:
            return reason
        if instruction.opcode == CALL and not instruction.calls_helper():
            _call(work, slot, u64(target_of(instruction, slot)))
        elif USES[instruction.opcode] & JUMP:
            _arrive(work, u64(target_of(instruction, slot)), slot)
        if not ends(instruction):
            _arrive(work, slot + width(instruction), slot)


def _arrive(work: Inspection, target: u64, slot: u64) -> None:
    """`slot` continues at `target` with the kinds `now`."""
    before = work.slots[target].kinds[:]
    for register in range(REGISTERS):
        if before[register] == work.now[register]:
            continue
        joined = join(before[register], work.now[register])
        if joined != before[register]:
            before[register] = joined
            work.slots[target].marks |= STALE
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


def _follow(instruction: Instruction, in_main: bool, work: Inspection) -> u32:
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
