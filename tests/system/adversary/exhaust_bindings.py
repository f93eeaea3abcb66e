# SPDX-License-Identifier: MIT
"""Takes every slot for one frame, in itself and in children that share it, then breaks it and ends."""

from family import SANDBOX, bind_frame, claim_mapped, claim_table, create, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    prepare_sandbox()
    frame = claim_mapped(SANDBOX)
    got: u64 = 0
    for slot in range(8):
        create(slot)
        aegis.environment_node(slot, SANDBOX, claim_table())
        for i in range(abi.BINDINGS):
            got += u64(aegis.environment_share(slot, SANDBOX, 1, i, Right.READ) != 1)
        for i in range(abi.BINDINGS + 8):
            got += u64(aegis.environment_share(slot, SANDBOX, 1, i, Right.READ) != Error.NO_ROOM)
    for slot in range(8, abi.BINDINGS):
        got += u64(bind_frame(slot, frame, Right.READ) != 0)
    for slot in range(abi.BINDINGS):
        got += u64(bind_frame(slot, frame, Right.READ) != Error.IN_USE)
    got += u64(aegis.frame_release(frame) != Error.IN_USE)
    steps: u64 = 1
    while aegis.frame_break(frame) == 1:
        steps += 1
    got += u64(steps < 8 * 2) + u64(aegis.frame_entry(frame).bindings != 0) + u64(aegis.frame_release(frame) != 0)
    for slot in range(8):
        got += u64(aegis.environment_end(slot, 0) != 0)
    return got
