# SPDX-License-Identifier: MIT
"""The calls on frames: claim, release, break, pin, guarantee, give. Whoever ends a frame's use here ends its mappings
and bindings first, in a bounded number of steps; what does not fit is refused or left for the next call.
"""

from exokernel.aegis import bindings, ending, environment, frames, information, revocation, tlb, trace  # noqa: F401  (in assembly)
from exokernel.aegis.abi import *
from exokernel.aegis.environment import KERNEL_PAGE, KernelPage
from exokernel.machine import cpu, paging
from exokernel.metal import align, asm, i64, naked, offsetof, u16, u32, u64

SIGNED = 1 << 64  # assembly wants the kernel's addresses as negative numbers
TABLE = paging.FRAME_TABLE - SIGNED
NEXT = TABLE + offsetof(FrameEntry, "next")
PREVIOUS = TABLE + offsetof(FrameEntry, "previous")
OWNER = TABLE + offsetof(FrameEntry, "owner")  # and kind, and page
GENERATION = TABLE + offsetof(FrameEntry, "generation")
SCRATCH = KERNEL_PAGE + offsetof(KernelPage, "scratch")
UNMAPPED = KERNEL_PAGE + offsetof(KernelPage, "unmapped")
RING = KERNEL_PAGE + offsetof(KernelPage, "ring")
COUNTER = KERNEL_PAGE + offsetof(KernelPage, "frames")
FREE = offsetof(SystemPage, "frames_free")
BREAK_STEPS = 64  # bindings that one call ends


# Assembly that makes the oldest free frame, `r9`, the newest of the current environment's, as `frames.claim` does it.
CLAIM_OLDEST = f"""
    cmp rdi, -1
    jne 8f
    mov rax, qword ptr [{{ending.unfinished}}]
    or rax, qword ptr [{{revocation.pending}}]
    jnz 8f
    mov r10, qword ptr [{{frames.free_ring}}]
    mov r9d, dword ptr [r10 + {NEXT}]
    mov rax, r9
    shl rax, 5
    cmp rax, r10
    je 8f
    mov qword ptr [{SCRATCH}], rcx
    mov qword ptr [{environment.USER_STACK}], rdi
    mov rdi, rax
    mov ecx, dword ptr [rdi + {NEXT}]
    mov dword ptr [r10 + {NEXT}], ecx
    mov eax, dword ptr [rdi + {PREVIOUS}]
    shl rcx, 5
    mov dword ptr [rcx + {PREVIOUS}], eax
    mov r10, qword ptr [{RING}]
    mov ecx, dword ptr [r10 + {PREVIOUS}]
    mov dword ptr [r10 + {PREVIOUS}], r9d
    mov dword ptr [rdi + {PREVIOUS}], ecx
    shl rcx, 5
    mov dword ptr [rcx + {NEXT}], r9d
    shr r10, 5
    mov dword ptr [rdi + {NEXT}], r10d
    inc dword ptr [rdi + {GENERATION}]
    mov rcx, qword ptr [{COUNTER}]
    inc dword ptr [rcx]
    mov rax, qword ptr [{UNMAPPED}]
"""
RETURN_FRAME = f"""
    mov rcx, qword ptr [{SCRATCH}]
    mov rdi, qword ptr [{environment.USER_STACK}]
    mov rax, r9
    {{trace.SYSRET}}
8:
    xor r9d, r9d
"""
SPARE = FrameKind.SPARE - FrameKind.DATA << 16


@naked
@align(64)
def claim_entry() -> None:
    """`frame_claim` of any frame, if one is free and nothing else is to be done."""
    asm("""
        {CLAIM_OLDEST}
        mov qword ptr [rdi + {OWNER}], rax
        dec qword ptr [{information.page} + {FREE}]
        shl rdi, 7
        mov rax, {paging.DIRECT_MAP - SIGNED}
        add rdi, rax
        mov ecx, 512
        xor eax, eax
        rep stosq
        {RETURN_FRAME}
        mov eax, {Call.FRAME_CLAIM}
        jmp call_entry
    """)


@naked
@align(64)
def claim_table_entry() -> None:
    """`frame_claim_table` likewise."""
    asm("""
        {CLAIM_OLDEST}
        add rax, {SPARE}
        mov qword ptr [rdi + {OWNER}], rax
        dec qword ptr [{information.page} + {FREE}]
        {RETURN_FRAME}
        mov eax, {Call.FRAME_CLAIM_TABLE}
        jmp call_entry
    """)


def claim_copy(virtual_page: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_claim_copy`, whose mapping may end while others are taken apart."""
    if virtual_page >= tlb.PAGES:
        return Error.BAD_ARGUMENT
    frame = claim_as(ANY, FrameKind.SPARE)
    if frame < 0:
        return frame
    source = tlb.entry_of(virtual_page)[0]
    if not source.present:
        frames.move(u64(frame), FRAME_FREE, FrameKind.NONE)
        return Error.BAD_ADDRESS
    frames.entry(u64(frame)).kind = FrameKind.DATA
    paging.table(u64(frame)).copy_from(paging.table(source.frame))
    return frame


def claim(frame: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_claim`."""
    return claim_as(frame, FrameKind.DATA)


def claim_table(frame: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_claim_table`."""
    return claim_as(frame, FrameKind.SPARE)


def claim_as(frame: u64, kind: u16) -> i64:
    """Claims a frame, or ANY, for the current environment."""
    if ending.unfinished != 0:
        ending.give_back()
    identifier = environment.current().identifier
    if revocation.pending != 0 and revocation.is_full(identifier, cpu.read_timestamp()):
        return Error.NO_ROOM
    if frame == ANY:
        found = frames.claim(identifier, kind)
        return i64(found) if found != 0 else i64(Error.NO_FRAMES)
    if frame >= frames.count:
        return Error.BAD_ARGUMENT
    if frames.entry(frame).owner != FRAME_FREE:
        return Error.BUSY
    frames.claim_named(frame, identifier, kind)
    return i64(frame)


def detach(frame: u64, identifier: u64) -> i64:
    """Unmaps a frame of an environment's that is to leave it; 0, or why it cannot."""
    if not frames.is_usable(frame, identifier):
        return Error.NOT_OWNER
    entry = frames.entry(frame)
    if entry.bindings != 0 or entry.pins != 0 or entry.flags != 0:
        return Error.IN_USE
    if entry.page != NOWHERE:
        tlb.unmap(identifier, u64(entry.page))
    return 0


def release(frame: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_release`."""
    caller = environment.current().identifier
    error: i64 = 0 if frames.can_become_table(frame, caller) else detach(frame, caller)
    if error == 0:
        frames.move(frame, FRAME_FREE, FrameKind.NONE)
    return error


def give(frame: u64, target: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_give`."""
    if target >= ENVIRONMENTS or not environment.exists(target):
        return Error.NO_ENVIRONMENT
    if revocation.is_full(target, FOREVER):  # or others could make it lose what it did not want to give
        return Error.NO_ROOM
    error = detach(frame, environment.current().identifier)
    if error == 0:
        frames.move(frame, target, FrameKind.DATA)
    return error


def break_bindings(frame: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_break`."""
    if not frames.is_usable(frame, environment.current().identifier):
        return Error.NOT_OWNER
    bindings.end_some(frame, BREAK_STEPS)
    return 0 if frames.entry(frame).bindings == 0 else 1


def pin(frame: u64, pinned: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_pin`."""
    record = environment.records[environment.current().identifier]
    error = flag_error(frame, pinned, record.pinned >= PINNED_FRAMES)
    if error == 0 and set_flag(frame, FrameFlag.PINNED, pinned):
        record.pinned = record.pinned + 1 if pinned else record.pinned - 1
    return error


def guarantee(frame: u64, guaranteed: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_guarantee`."""
    record = environment.records[environment.current().identifier]
    error = flag_error(frame, guaranteed, record.guaranteed >= GUARANTEED_FRAMES)
    if error == 0 and set_flag(frame, FrameFlag.GUARANTEED, guaranteed):
        record.guaranteed = record.guaranteed + 1 if guaranteed else record.guaranteed - 1
    return error


def flag_error(frame: u64, value: u64, exhausted: bool) -> i64:
    """Why the caller may not set a flag of a frame so, or 0."""
    if value > 1:
        return Error.BAD_ARGUMENT
    if not frames.is_usable(frame, environment.current().identifier):
        return Error.NOT_OWNER
    return Error.NO_ROOM if value and exhausted else i64(0)


def set_flag(frame: u64, flag: u64, value: u64) -> bool:
    """Whether the flag was different."""
    entry = frames.entry(frame)
    if (u64(entry.flags) & flag != 0) == (value != 0):
        return False
    entry.flags ^= u32(flag)
    return True
