# SPDX-License-Identifier: MIT
"""Environments: an address space with its two own pages, and the record that the kernel keeps of it.

The *environment page* is shared with the application; exceptions are pushed into it. The *kernel page* holds what the
application must not touch: which environment this is and the registers saved while it does not run. Both stand at the
same address in every address space, so loading a root makes another environment the current one. All memory of an
environment, its page tables included, is in frames that it owns. Environment number IDLE is the kernel's own: it halts
the processor when nobody else can run, and owns no user memory.
"""

from typing import Final

from exokernel.aegis import frames, information, trace
from exokernel.aegis.abi import *
from exokernel.aegis.trace_abi import TraceEntry
from exokernel.machine import boot, cpu, paging
from exokernel.machine.paging import PageTableEntry, Part, Parts
from exokernel.metal import Array, Ptr, addr, inline, noinline, offsetof, sizeof, struct, u8, u32, u64

IDLE = ENVIRONMENTS
KERNEL_PAGE = paging.OWN_PAGES + paging.PAGE
BINDING_PAGE = paging.OWN_PAGES + 2 * paging.PAGE
DIRECTORY = paging.OWN_PAGES + 3 * paging.PAGE

READ_ONLY = PageTableEntry(present=True, user=True, no_execute=True)
READ_WRITE = PageTableEntry(present=True, user=True, writable=True, no_execute=True)
EXECUTE = PageTableEntry(present=True, user=True)


REGISTERS = ("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")


def saving(registers: tuple[str, ...]) -> tuple[str, str]:
    """Assembly that pushes registers, and the one that pops them."""
    return "\n".join(f"push {r}" for r in registers), "\n".join(f"pop {r}" for r in reversed(registers))


PUSH_ALL, POP_ALL = saving(REGISTERS)  # leaves a `Registers` on the stack
PUSH_AFTER_RAX = PUSH_ALL.removeprefix("push rax\n")
# What a function may destroy, around a call in the middle of a transfer.
PUSH_MESSAGE, POP_MESSAGE = saving(("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r11"))


NOBODY = 255  # in `KernelPage.caller` and `callee`
UNKNOWN = 254  # in `caller`: it serves a transfer to which nobody waits for an answer
ORPHAN = 254  # in `Environment.creator`: it has ended, and environment 0 has the power over what it created
FLOATING_BYTES = 1024  # what `xsave` writes of x87, SSE and AVX registers fits


@struct
class KernelPage:
    identifier: u64
    user_stack: u64  # rsp of the caller during a system call
    user_ip: u64  # rip of the caller during a transfer
    yielded_ip: u64  # not 0: it gave the processor away by `yield_to`, and these two are all that it left
    yielded_sp: u64
    caller: u8  # the environment that it serves (`transfer`)
    callee: u8  # the environment whose answer it waits for
    aside: u8  # 1: what it did before it was called is in `resting`
    keyed: u8  # 128: it uses protection keys
    floating: u32  # 1: it may use floating-point and vector registers
    unmapped: u64  # owner, kind and page, as in FrameEntry, of a frame that this environment may map
    scratch: u64  # a register of the caller's during a system call
    floating_state: Array[u8, FLOATING_BYTES]  # at a multiple of 64, as `xsave` wants it
    resting: Context
    key_rights: u64  # PKRU while it does not run
    ring: u64  # where in the frame table the ring of its frames is closed, in bytes
    frames: u64  # address of its counter of frames
    unused: Array[u8, paging.PAGE - 88 - FLOATING_BYTES - 2 * sizeof(Context)]
    context: Context  # must be last: the processor pushes its upper end


USER_STACK = KERNEL_PAGE + offsetof(KernelPage, "user_stack")
KEYED = KERNEL_PAGE + offsetof(KernelPage, "keyed")
STACK = paging.PAGE + boot.STACK_BYTES  # the kernel stack's upper end, from `kernel_stack`


assert sizeof(KernelPage) == paging.PAGE


@struct
class Binding:
    """A right that was checked once. Those to one frame form a chain, whose links are `reference`s."""

    kind: u32  # `Kind`; 0: the slot is free
    page: u32  # where it maps the frame, or NOWHERE
    index: u32  # of what is bound, within its kind
    generation: u32
    rights: u32
    forbidden: u32  # of WRITE and EXECUTE, those that it does not allow; all rights if it allows nothing
    next: u32
    previous: u32  # 0: the first


BindingPage = Array[Binding, BINDINGS]


@struct
class Environment:
    """The kernel's record of one environment. Whether it exists is in the system page."""

    root: u64  # physical address of the top table
    directory: u64  # frame of the table of table nodes
    nodes: u64  # frame of the same table without gaps, which is WINDOW's
    bindings: Ptr[BindingPage]
    guaranteed: u64  # how many frames
    pinned: u64
    page: Ptr[EnvironmentPage]  # in the direct map, as the next
    kernel_page: Ptr[KernelPage]
    positions: u64  # bit n: owns slice n
    deadline: u64  # timestamp, while it sleeps
    creator: u64  # the environment that is told of its end; NOBODY or ORPHAN
    bound: u64  # how many slots of `bindings` are taken
    bound_at: u64  # when it has ended: the slots before this are free


NO_REGISTERS: Final[Registers] = Registers()

records: Array[Environment, ENVIRONMENTS + 1] = Array[Environment, ENVIRONMENTS + 1]()
creators: u64 = 0  # bit n: environment n has created some, which may still be its
parts: Parts = Parts()  # of the environment that is being made


@inline
def current() -> KernelPage:
    """The kernel page of the environment that runs."""
    return Ptr[KernelPage](KERNEL_PAGE)[0]


def claim_parts(owner: u64) -> bool:
    """Fills `parts` with fresh frames of `owner`'s; False if memory is short."""
    for i in range(paging.PARTS):
        parts[i] = frames.claim(owner, FrameKind.NODE)
    return parts[paging.PARTS - 1] != 0


def assemble(identifier: u64) -> None:
    """Makes an address space of `parts`, and its environment's record. The environment page keeps what is in it."""
    paging.build_space(parts)
    record = records[identifier]
    record.root = parts[Part.ROOT] * paging.PAGE
    record.directory = parts[Part.DIRECTORY]
    record.nodes = parts[Part.NODES]
    record.page = Ptr[EnvironmentPage](paging.direct(parts[Part.PAGE] * paging.PAGE))
    record.kernel_page = Ptr[KernelPage](paging.direct(parts[Part.KERNEL_PAGE] * paging.PAGE))
    record.bindings = Ptr[BindingPage](paging.direct(parts[Part.BINDINGS] * paging.PAGE))
    record.guaranteed = 0
    record.pinned = 0
    record.creator = NOBODY
    record.bound = 0
    record.bound_at = 0
    for binding in record.bindings[0]:
        binding.kind = 0
    kernel_page = record.kernel_page[0]
    kernel_page.identifier = identifier
    kernel_page.yielded_ip = 0
    kernel_page.caller = NOBODY
    kernel_page.callee = NOBODY
    kernel_page.aside = 0
    kernel_page.floating = 0
    kernel_page.keyed = 0
    kernel_page.unmapped = u64(NOWHERE) << 32 | FrameKind.DATA << 16 | identifier
    if identifier == IDLE:
        return
    kernel_page.ring = (frames.count + identifier) * sizeof(FrameEntry)
    kernel_page.frames = u64(addr(information.page.environments[identifier].frames))
    paging.install_node(record.directory, record.nodes, ENVIRONMENT_ADDRESS >> 21, parts[Part.FIRST_NODE])
    map_page(identifier, ENVIRONMENT_ADDRESS, parts[Part.PAGE], READ_WRITE)
    map_page(identifier, SYSTEM_ADDRESS, (u64(addr(information.page)) - paging.KERNEL_BASE) // paging.PAGE, READ_ONLY)
    status = information.page.environments[identifier]
    status.name.copy_from(record.page[0].name)
    status.generation += 1
    status.state = State.EMBRYO
    record.page[0].identifier = identifier
    trace.name(identifier)


def map_page(identifier: u64, virtual: u64, frame: u64, entry: PageTableEntry) -> bool:
    """Maps `frame` at address `virtual` of an environment that does not run yet, with the rights of `entry`. False if
    memory is short.
    """
    record = records[identifier]
    number = virtual >> 21
    if not paging.table(record.directory)[number].present:
        node = frames.claim(identifier, FrameKind.NODE)
        if node == 0:
            return False
        paging.install_node(record.directory, record.nodes, number, node)
    entry.frame = frame
    if frames.is_usable(frame, identifier):
        entry.own = True
        frames.entry(frame).page = u32(virtual >> 12)
    paging.table(paging.table(record.directory)[number].frame)[virtual >> 12 & 511] = entry
    return True


def map_new(identifier: u64, virtual: u64, entry: PageTableEntry) -> u64:
    """Maps a fresh frame, as `map_page`. Returns the frame, 0 if memory is short."""
    frame = frames.claim(identifier, FrameKind.DATA)
    if frame == 0 or not map_page(identifier, virtual, frame, entry):
        return 0
    return frame


def create(identifier: u64, name: Array[u8, NAME_BYTES], entry: u64) -> bool:
    """Makes an environment with a stack, ready to start at `entry`; False if memory is short."""
    if not claim_parts(identifier):
        return False
    frames.clear(parts[Part.PAGE])
    Ptr[EnvironmentPage](paging.direct(parts[Part.PAGE] * paging.PAGE))[0].name.copy_from(name)
    assemble(identifier)
    for i in range(STACK_BYTES // paging.PAGE):
        if map_new(identifier, STACK_TOP - (i + 1) * paging.PAGE, READ_WRITE) == 0:
            return False
    set_context(records[identifier].kernel_page[0].context, entry, STACK_TOP)
    return True


def set_context(context: Context, ip: u64, sp: u64) -> None:
    """Makes a context of which nothing but these is known."""
    context.registers.copy_from(NO_REGISTERS)
    context.ip = ip
    context.cs = cpu.USER_CODE
    context.flags = cpu.USER_FLAGS
    context.sp = sp
    context.ss = cpu.USER_DATA


@inline
def exists(identifier: u64) -> bool:
    """Whether there is an environment of that number, which is less than ENVIRONMENTS, and has not ended."""
    state = information.page.environments[identifier].state
    return state != State.FREE and state != State.ENDED


def awaited_events(identifier: u64) -> u64:
    """The events that are pending and not masked."""
    page = records[identifier].page[0]
    return page.pending & ~page.masked


@inline
def deliver_events(identifier: u64) -> None:
    """Makes an environment continue at its event entry, if it has one and an event is pending."""
    if records[identifier].page[0].event_entry != 0:
        _deliver_events(identifier)


@noinline
def _deliver_events(identifier: u64) -> None:
    page = records[identifier].page[0]
    entry = page.event_entry
    events = awaited_events(identifier)
    if events == 0:
        return
    page.event_entry = 0
    trace.upcall(identifier, TraceEntry.EVENT, u64(entry))
    enter(identifier, page.event_frame, u64(entry), Cause(events))


def enter(identifier: u64, frame: ExceptionFrame, entry: u64, cause: Cause) -> None:
    """Makes an environment continue at `entry`, all its registers as they are, and puts into `frame` where it was."""
    context = records[identifier].kernel_page[0].context
    frame.r11 = context.registers.r11
    frame.rcx = context.registers.rcx
    frame.cause = cause
    frame.ip = context.ip
    frame.cs = context.cs
    frame.flags = context.flags
    frame.sp = context.sp
    frame.ss = context.ss
    context.ip = entry
    context.flags = cpu.USER_FLAGS
