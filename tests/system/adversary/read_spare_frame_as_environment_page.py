# SPDX-License-Identifier: MIT
"""Makes environments whose environment page, which they could read, is a frame that was claimed with its old contents."""

from family import PAGE_PART, claim_parts, claim_table, parts

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got: u64 = 0
    for _ in range(20):
        claim_parts()
        spare = claim_table()
        own = parts[PAGE_PART]
        parts[PAGE_PART] = spare
        answer = aegis.environment_create(0, abi.ANY, parts)
        if answer >= 0:
            got += 1
            aegis.environment_end(0, 0)
        else:
            for part in parts:
                aegis.frame_release(part)
            aegis.frame_release(own)
    return got
