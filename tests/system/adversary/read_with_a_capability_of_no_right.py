# SPDX-License-Identifier: MIT
"""Binds capabilities and shares pages without any right, and maps by them."""

from family import SANDBOX, bind_frame, claim_mapped, make, prepare_sandbox

from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    prepare_sandbox()
    frame = claim_mapped(SANDBOX)
    got = u64(bind_frame(0, frame, Right.NONE) != 0)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 1, 0, Right.READ) >= 0)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 1, 0, Right.EXECUTE) >= 0)
    got += u64(bind_frame(1, frame, Right.READ) != 0)
    got += u64(aegis.tlb_insert_bound(SANDBOX + 1, 1, Right.READ) != 0)
    make(2)
    got += u64(aegis.environment_share(2, SANDBOX, 1, 100, Right.NONE) != Error.BAD_ARGUMENT)
    got += u64(aegis.environment_end(2, 0) != 0)
    return got
