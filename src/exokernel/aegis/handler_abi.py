# SPDX-License-Identifier: MIT
"""What an application knows of handlers in the kernel, besides their language: what it gives to load one, and what is
counted. As `abi`, which it adds to, this must need nothing of a kernel.
"""

from enum import IntEnum

from exokernel.metal import Array, struct, u32, u64

HANDLERS = 64
HANDLER_BUDGET = 10000  # instructions of one run, at most
HANDLER_CODE_FRAMES = 15
HANDLER_STATE_FRAMES = 16


class HandlerPart(IntEnum):
    """What the first frames of a handler become; those of its code follow."""

    DIRECTORY = 0
    TABLE = 1
    PLACES = 2  # which machine code belongs to which instruction
    PACKET = 3
    FRAMES = 4  # of its functions
    CODE = 5


HANDLER_PARTS = HandlerPart.CODE + HANDLER_CODE_FRAMES


@struct
class HandlerRequest:
    """What `handler_load` is given."""

    program: u64  # user address of the instructions
    slots: u32  # 8 bytes each, at most `ebpf.KERNEL_LIMIT`
    budget: u32  # instructions that one run may take, at most HANDLER_BUDGET
    code_frames: u32  # at most HANDLER_CODE_FRAMES
    state_frames: u32  # at most HANDLER_STATE_FRAMES
    parts: Array[
        u32, HANDLER_PARTS
    ]  # frames of the caller's that nothing uses: `HandlerPart`, with `code_frames` of code
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
