# SPDX-License-Identifier: MIT
"""Makes a child whose name, which the kernel reports when it ends, looks like other reports."""

from family import (
    PAGE_PART,
    SANDBOX,
    claim_mapped,
    claim_parts,
    create_of_parts,
    ends_otherwise,
    parts,
    prepare_sandbox,
)

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
    number = create_of_parts(0)
    got = u64(aegis.environment_start(0, 0x1000, 0) != 0)  # where nothing is
    return got + ends_otherwise(number, 128 + 14)
