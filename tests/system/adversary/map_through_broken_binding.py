# SPDX-License-Identifier: MIT
"""Binds a frame, breaks it, and maps through the binding that was."""

from family import SANDBOX, bind_frame, claim, prepare_sandbox

from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    prepare_sandbox()
    frame = claim()
    got = u64(bind_frame(0, frame, Right.READ) != 0) + u64(aegis.tlb_insert_bound(SANDBOX, 0, Right.READ) != 0)
    got += u64(aegis.frame_release(frame) != Error.IN_USE) + u64(aegis.frame_break(frame) != 0)
    got += u64(aegis.table_entry(SANDBOX).present)
    got += u64(aegis.tlb_insert_bound(SANDBOX, 0, Right.READ) != Error.NOT_PERMITTED)
    return got + u64(aegis.frame_release(frame) != 0)
