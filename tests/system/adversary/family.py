# SPDX-License-Identifier: MIT
"""No attack, but what many of them need: children. A child is an environment that an attacker creates, that sees the
attacker's own program and variables (its writable pages through bindings), and that begins at a function of it, on a
stack of its own.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import FrameKind, Kind, Right, State
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, addr, aligned, i64, u8, u64, volatile_load

SANDBOX = 0x10000000 // abi.PAGE_BYTES  # pages that nothing else uses, here and in children
IMAGE = abi.IMAGE_ADDRESS // abi.PAGE_BYTES
IMAGE_PAGES = 128
CHILDREN = 40  # their numbers begin here, so that they never have one that an attacker had
OWN_SLOTS = 64  # of a child's: those below bind the pages that it shares
PAGE_PART = 5  # which of the frames of an environment is its environment page
STACK_BYTES = 8192
ALL = Right.READ | Right.WRITE | Right.EXECUTE

parts: Array[u64, abi.ENVIRONMENT_FRAMES] = Array[u64, abi.ENVIRONMENT_FRAMES]()
stacks: Array[Array[u8, STACK_BYTES], 4] = aligned(16, Array[Array[u8, STACK_BYTES], 4]())


def claim() -> u64:
    return u64(aegis.frame_claim(abi.ANY))


def claim_table() -> u64:
    return u64(aegis.frame_claim_table(abi.ANY))


def claim_mapped(page: u64) -> u64:
    """A frame of ours, mapped to write."""
    frame = claim()
    aegis.tlb_insert(page, frame, Right.WRITE)
    return frame


def prepare_sandbox() -> None:
    aegis.tlb_node(SANDBOX, claim_table())


def name_of(kind: u64, number: u64) -> u64:
    return kind << abi.NAME_INDEX_BITS | number


def frame_name(frame: u64) -> u64:
    return name_of(Kind.FRAME, frame)


def frame_rights(frame: u64, rights: u64) -> u64:
    """With the present generation."""
    return u64(aegis.frame_entry(frame).generation) << 32 | rights


def environment_rights(number: u64, rights: u64) -> u64:
    return u64(aegis.system_page().environments[number].generation) << 32 | rights


def bind_frame(slot: u64, frame: u64, rights: u64) -> i64:
    """Of one's own, through a capability."""
    name = frame_name(frame)
    with_generation = frame_rights(frame, rights)
    return aegis.bind(slot, name, with_generation, u64(aegis.capability_mint(name, with_generation)))


def state_of(number: u64) -> u64:
    return u64(volatile_load(addr(aegis.system_page().environments[number].state)))


def lives(number: u64) -> bool:
    return state_of(number) != State.FREE and state_of(number) != State.ENDED


def claim_parts() -> None:
    """What an environment is made of, into `parts`."""
    for i in range(u64(len(parts))):
        parts[i] = claim() if i == PAGE_PART else claim_table()


def create(slot: u64) -> u64:
    """An empty child, bound in `slot`; its number, at least CHILDREN."""
    claim_parts()
    return create_of_parts(slot)


def create_of_parts(slot: u64) -> u64:
    """As `create`, of the frames that `parts` names."""
    for i in range(abi.ENVIRONMENTS - CHILDREN):
        number = CHILDREN + (aegis.environment_page().identifier + i) % (abi.ENVIRONMENTS - CHILDREN)
        if state_of(number) == State.FREE and aegis.environment_create(slot, number, parts) >= 0:
            return number
    return abi.ENVIRONMENTS


def make(slot: u64) -> u64:
    """A child that sees our program and variables, and has a table node for the sandbox; its number."""
    number = create(slot)
    aegis.environment_node(slot, IMAGE, claim_table())
    aegis.environment_node(slot, SANDBOX, claim_table())
    aegis.environment_share(slot, IMAGE, IMAGE_PAGES, 0, ALL)
    return number


def start(slot: u64, entry: u64, which: u64) -> i64:
    """Starts it at a function of ours, which must not return, with stack `which`."""
    stack = u64(addr(stacks[which])) + STACK_BYTES - 8
    return aegis.environment_start(slot, entry, stack)


def ends_otherwise(number: u64, status: u64) -> u64:
    """Gives a child our time until it has ended; 0 if it did so with `status`, or if another has its number already."""
    generation = aegis.system_page().environments[number].generation
    while lives(number) and aegis.system_page().environments[number].generation == generation:
        aegis.yield_to(number)
    found = aegis.system_page().environments[number]
    return u64(found.generation == generation and found.status != status)


def run(number: u64, done: Span[u64]) -> None:
    """Gives a child our time until it has set done[0], or ended."""
    while lives(number) and volatile_load(addr(done[0])) == 0:
        aegis.yield_to(number)


# ---- being revoked

HOARD = 200
SLICES = 4
ORDERED = 100  # frames that revoker.py wants of each
hoarded: Array[u64, HOARD] = Array[u64, HOARD]()


def later(milliseconds: u64) -> u64:
    """A timestamp."""
    return read_timestamp() + aegis.system_page().timestamp_frequency // 1000 * milliseconds


def hoard() -> None:
    """Pins the frames of the program, so that it lives whatever is taken, and claims HOARD frames, and then slices
    until it has SLICES: this tells revoker.py that it is ready.
    """
    own = aegis.environment_page().identifier
    for frame in range(aegis.system_page().frames):
        entry = aegis.frame_entry(frame)
        if entry.owner == own and entry.kind == FrameKind.DATA:
            aegis.frame_pin(frame, 1)
    for i in range(HOARD):
        hoarded[i] = claim()
    for _ in range(SLICES - 1):
        aegis.slice_claim(abi.ANY)


def await_order() -> None:
    """Until we are asked for frames, or a second has passed."""
    until = later(1000)
    while aegis.environment_page().wanted[0] == 0 and read_timestamp() < until:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
