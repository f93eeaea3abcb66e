# SPDX-License-Identifier: MIT
"""The calls on frames: claim, release, break, pin, guarantee, give. Whoever ends a frame's use here ends its mappings
and bindings first, in a bounded number of steps; what does not fit is refused or left for the next call.
"""

from exokernel.aegis import bindings, ending, environment, frames, tlb
from exokernel.aegis.abi import *
from exokernel.metal import i64, u16, u32, u64

BREAK_STEPS = 64  # bindings that one call ends


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
    error = detach(frame, environment.current().identifier)
    if error == 0:
        frames.move(frame, target, FrameKind.DATA)
    return error


def break_bindings(frame: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_break`."""
    if not frames.is_usable(frame, environment.current().identifier):
        return Error.NOT_OWNER
    frames.entry(frame).generation += 1
    bindings.end_some(frame, BREAK_STEPS)
    return 0 if frames.entry(frame).bindings == 0 else 1


def pin(frame: u64, pinned: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_pin`."""
    record = environment.records[environment.current().identifier]
    if pinned > 1:
        return Error.BAD_ARGUMENT
    if not frames.is_usable(frame, environment.current().identifier):
        return Error.NOT_OWNER
    if pinned and record.pinned >= PINNED_FRAMES:
        return Error.NO_ROOM
    if set_flag(frame, FrameFlag.PINNED, pinned):
        record.pinned = record.pinned + 1 if pinned else record.pinned - 1
    return 0


def guarantee(frame: u64, guaranteed: u64, third: u64, fourth: u64) -> i64:
    """The call `frame_guarantee`."""
    record = environment.records[environment.current().identifier]
    if guaranteed > 1:
        return Error.BAD_ARGUMENT
    if not frames.is_usable(frame, environment.current().identifier):
        return Error.NOT_OWNER
    if guaranteed and record.guaranteed >= GUARANTEED_FRAMES:
        return Error.NO_ROOM
    if set_flag(frame, FrameFlag.GUARANTEED, guaranteed):
        record.guaranteed = record.guaranteed + 1 if guaranteed else record.guaranteed - 1
    return 0


def set_flag(frame: u64, flag: u64, value: u64) -> bool:
    """Whether the flag was different."""
    entry = frames.entry(frame)
    if (u64(entry.flags) & flag != 0) == (value != 0):
        return False
    entry.flags ^= u32(flag)
    return True
