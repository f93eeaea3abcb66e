# SPDX-License-Identifier: MIT
"""Maps whatever is not the bundle's, nor the table of handlers, as if it were public: the frames on both sides of both, all
others of the kernel's, those of other environments, and numbers that are none.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.aegis.handler_abi import HandlerTable
from exokernel.exos import aegis
from exokernel.metal import sizeof, u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES


def mapped(frame: u64) -> u64:
    readable = aegis.tlb_insert(SANDBOX, frame, Right.READ) >= 0
    return u64(readable) + u64(aegis.tlb_insert(SANDBOX, frame, Right.READ | Right.EXECUTE) >= 0)


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    system = aegis.system_page()
    me = aegis.environment_page().identifier
    first = system.bundle_frame
    end = first + system.bundle_frames
    table = system.handlers_frame
    behind = table + sizeof(HandlerTable) // abi.PAGE_BYTES
    got = (
        mapped(first - 1)
        + mapped(end)
        + mapped(table - 1)
        + mapped(behind)
        + u64(mapped(first) != 2)
        + u64(mapped(end - 1) != 2)
    )
    for frame in range(system.frames):
        entry = aegis.frame_entry(frame)
        public = entry.kind == abi.FrameKind.PUBLIC
        got += u64(public != (first <= frame < end or table <= frame < behind))
        if not public and entry.owner != me and mapped(frame) != 0:
            got += u64(entry.owner != me)  # it may have been given to us meanwhile
    for shift in range(64):
        got += mapped(first | u64(1) << shift if first >> shift & 1 == 0 and shift > 20 else 0)
    return got
