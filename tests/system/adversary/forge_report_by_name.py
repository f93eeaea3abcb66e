# SPDX-License-Identifier: MIT
"""Makes a child whose name, which the kernel reports when it ends, looks like other reports."""

from family import CHILDREN, PAGE_PART, SANDBOX, claim_mapped, claim_parts, parts, prepare_sandbox, run_until_ended

from exokernel.aegis.abi import EnvironmentPage
from exokernel.exos import aegis
from exokernel.metal import Ptr, u64

FORGED = b"\nforged x=1\nended environment=0"


def main() -> u64:
    prepare_sandbox()
    claim_parts()
    aegis.frame_release(parts[PAGE_PART])
    parts[PAGE_PART] = claim_mapped(SANDBOX)
    page = Ptr[EnvironmentPage](SANDBOX * 4096)[0]
    for i in range(len(FORGED)):
        page.name[i] = FORGED[i]
    got = u64(aegis.environment_create(0, CHILDREN, parts) != CHILDREN)
    got += u64(aegis.environment_start(0, 0x1000, 0) != 0)  # where nothing is
    run_until_ended(CHILDREN)
    return got
