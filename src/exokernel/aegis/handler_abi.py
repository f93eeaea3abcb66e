# SPDX-License-Identifier: MIT
"""What an application knows of handlers in the kernel, besides their language: what it gives to load one, and what is
counted. As `abi`, which it adds to, this must need nothing of a kernel.
"""

from enum import IntEnum

from exokernel.metal import Array, struct, u32, u64

HANDLERS = 96
HANDLERS_EACH = 1  # that every environment can have, whatever the others have
HANDLER_BUDGET = 10000  # instructions of one run, at most
HANDLER_CODE_FRAMES = 15
HANDLER_STATE_FRAMES = 16
HANDLER_WORK_FRAMES = 19


class HandlerPart(IntEnum):
    """What the first frames of a handler become; those of its code follow."""

    DIRECTORY = 0
    TABLE = 1
    DIRECT_TABLE = 2  # of the kernel's map of all memory, where the code is
    PLACES = 3  # which machine code belongs to which instruction
    PACKET = 4
    FRAMES = 5  # of its functions
    CODE = 6


HANDLER_PARTS = HandlerPart.CODE + HANDLER_CODE_FRAMES


def work_frames(slots: u64) -> u64:
    """How many frames of `HandlerRequest.work` the kernel needs at most, to inspect and translate so many instructions."""
    return min(3 + (68 * slots + 512) // 4096, HANDLER_WORK_FRAMES)


@struct
class HandlerRequest:
    """What `handler_load` is given."""

    program: u64  # user address of the instructions
    slots: u32  # 8 bytes each, at most `ebpf.KERNEL_LIMIT`
    budget: u32  # instructions that one run may take, at most HANDLER_BUDGET
    code_frames: u32  # at most HANDLER_CODE_FRAMES, all in the same 2 MiB of memory
    state_frames: u32  # at most HANDLER_STATE_FRAMES
    parts: Array[
        u32, HANDLER_PARTS
    ]  # frames of the caller's that nothing uses: `HandlerPart`, with `code_frames` of code
    work: Array[u32, HANDLER_WORK_FRAMES]  # others, as `work_frames` says: used until the handler is whole
    state: Array[u32, HANDLER_STATE_FRAMES]  # frames of the caller's, which it may map: shared with the handler


class HandlerCount(IntEnum):
    """What the kernel counts of each handler, for `handler_count`."""

    ABORTED = 0  # it returned 0, or what is no action: the frame was dropped
    DROPPED = 1
    PASSED = 2  # to the ring
    SENT_BACK = 3
    OVER_BUDGET = 4  # it was ended
    WILD_ACCESS = 5
    COPIES = 6  # put into the ring
    FRAMES = 7  # that it sent
    LOST = 8  # of what it sent, because the device was behind


@struct
class Handler:
    """One handler, as everybody may see it: the table lies in public frames (`SystemPage.handlers_frame`)."""

    owner: u64  # an environment; ENVIRONMENTS and more: there is no handler of this number
    generation: u32
    budget: u32
    window: u64  # kernel addresses: of its arena
    enter: u64  # and in its code
    abort: u64
    code_end: u64  # 0: it is not whole yet
    slots: u64
    packet_end: u64  # of its page for packets, in the direct map
    frame_bytes: u64  # how much of its frames a run may use, from the upper end
    asks: u64  # bit n: it calls helper n
    special: bool  # it asks for something, or uses its frames
    may_wake: u64  # bit n: environment n
    state_bytes: u64
    code_frames: u64
    work_frames: u64  # 0 from when it is whole
    counts: Array[u64, len(HandlerCount)]  # the first six together: how often it ran
    parts: Array[u32, HANDLER_PARTS]
    state: Array[u32, HANDLER_STATE_FRAMES]
    work: Array[u32, HANDLER_WORK_FRAMES]


@struct(align=4096)
class HandlerTable:
    """All handlers, in pages of their own."""

    entries: Array[Handler, HANDLERS]
