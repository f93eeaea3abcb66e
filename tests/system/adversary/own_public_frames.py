# SPDX-License-Identifier: MIT
"""Does to every frame of the bundle, and of the table of handlers, what only an owner may: claims, releases, breaks, pins,
guarantees and gives it, makes a table node of it and a capability. Mapped many times over and removed, it is as it was.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind, Right
from exokernel.aegis.handler_abi import HandlerTable
from exokernel.exos import aegis
from exokernel.metal import sizeof, u64

SANDBOX = 0x10000000 // abi.PAGE_BYTES


def attack(first: u64, count: u64) -> u64:
    me = aegis.environment_page().identifier
    got: u64 = 0
    for frame in range(first, first + count):
        generation = u64(aegis.frame_entry(frame).generation)
        for page in range(SANDBOX, SANDBOX + 8):
            got += u64(aegis.tlb_insert(page, frame, Right.READ) != 0)
        got += u64(aegis.frame_claim(frame) >= 0) + u64(aegis.frame_release(frame) >= 0)
        got += u64(aegis.frame_break(frame) >= 0) + u64(aegis.frame_give(frame, me) >= 0)
        got += u64(aegis.frame_pin(frame, 1) >= 0) + u64(aegis.frame_guarantee(frame, 1) >= 0)
        got += u64(aegis.tlb_node(SANDBOX + 512, frame) >= 0)
        name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
        got += u64(aegis.capability_mint(name, Right.READ | generation << 32) >= 0)
        got += u64(aegis.tlb_remove(SANDBOX, 8) != 0)
        entry = aegis.frame_entry(frame)
        got += u64(entry.owner != abi.FRAME_KERNEL or entry.kind != abi.FrameKind.PUBLIC or entry.page != abi.NOWHERE)
        got += u64(entry.generation != generation or entry.pins != 0 or entry.flags != 0 or entry.bindings != 0)
    return got


def main() -> u64:
    aegis.tlb_node(SANDBOX, u64(aegis.frame_claim(abi.ANY)))
    system = aegis.system_page()
    table = attack(system.handlers_frame, sizeof(HandlerTable) // abi.PAGE_BYTES)
    return table + attack(system.bundle_frame, system.bundle_frames)
