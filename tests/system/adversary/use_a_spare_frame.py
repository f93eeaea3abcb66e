# SPDX-License-Identifier: MIT
"""Uses a frame that it claimed with its old contents as anything but a table: maps it in all ways, pins, guarantees, breaks,
gives and mints it; then makes a node of it, takes that back, and looks for the contents.
"""

from family import SANDBOX, claim_table, frame_name, frame_rights, make, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, u64, volatile_load

numbers: Array[u64, 1] = Array[u64, 1]()


def attempts(frame: u64) -> u64:
    got = u64(aegis.tlb_insert(SANDBOX, frame, Right.READ) != Error.NOT_OWNER)
    got += u64(aegis.tlb_insert(SANDBOX, frame, Right.WRITE) != Error.NOT_OWNER)
    got += u64(aegis.tlb_insert(SANDBOX, frame, Right.EXECUTE) != Error.NOT_OWNER)
    numbers[0] = frame
    got += u64(aegis.tlb_insert_batch(SANDBOX, numbers[:], Right.READ) != Error.NOT_OWNER)
    got += u64(aegis.tlb_insert_large(SANDBOX + 512, frame & ~u64(511), Right.READ) >= 0)
    got += u64(aegis.frame_pin(frame, 1) != Error.NOT_OWNER)
    got += u64(aegis.frame_guarantee(frame, 1) != Error.NOT_OWNER)
    got += u64(aegis.frame_break(frame) != Error.NOT_OWNER)
    got += u64(aegis.frame_give(frame, 0) != Error.NOT_OWNER)
    got += u64(aegis.environment_give(0, SANDBOX, frame, Right.READ) != Error.NOT_OWNER)
    return got + u64(aegis.capability_mint(frame_name(frame), frame_rights(frame, 1)) != Error.NOT_OWNER)


def main() -> u64:
    prepare_sandbox()
    make(0)
    got: u64 = 0
    for _ in range(40):
        frame = claim_table()
        got += attempts(frame)
        got += u64(aegis.tlb_node(SANDBOX + 1024, frame) != 0)
        got += attempts(frame)
        got += u64(u64(aegis.tlb_node_remove(SANDBOX + 1024)) != frame)
        got += u64(aegis.tlb_insert(SANDBOX, frame, Right.READ) != 0)
        for j in range(abi.PAGE_BYTES // 8):
            got += u64(volatile_load(Ptr[u64](SANDBOX * abi.PAGE_BYTES) + j) != 0)
    return got + u64(aegis.environment_end(0, 0) != 0)
