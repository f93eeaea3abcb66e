# SPDX-License-Identifier: MIT
"""Takes slices by capabilities that have no right to it, or that are older than the slice's last change of owner."""

from family import bind_frame, claim, name_of

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Kind, Right
from exokernel.exos import aegis
from exokernel.metal import i64, u64


def bind_slice(slot: u64, position: u64, rights: u64) -> i64:
    name = name_of(Kind.SLICE, position)
    full = u64(aegis.system_page().slice_generations[position]) << 32 | rights
    return aegis.bind(slot, name, full, u64(aegis.capability_mint(name, full)))


def main() -> u64:
    claimed = aegis.slice_claim(abi.ANY)
    if claimed < 0:
        return 0
    position = u64(claimed)
    got = u64(bind_slice(0, position, Right.READ) != 0)
    got += u64(aegis.slice_take(0) != Error.NOT_PERMITTED)
    got += u64(bind_slice(1, position, Right.WRITE) != 0)
    got += u64(bind_slice(2, position, Right.WRITE) != 0)
    got += u64(aegis.slice_take(1) != 0)  # ours still, but this makes the others stale
    got += u64(aegis.slice_take(1) != Error.NOT_PERMITTED)
    got += u64(aegis.slice_take(2) != Error.NOT_PERMITTED)
    got += u64(bind_slice(3, position, Right.WRITE) != 0)
    got += u64(aegis.slice_give(position, 0) != 0)
    got += u64(aegis.slice_take(3) != Error.NOT_PERMITTED)
    got += u64(bind_frame(4, claim(), Right.WRITE) != 0)
    got += u64(aegis.slice_take(4) != Error.NOT_PERMITTED)
    for slot in range(5, abi.BINDINGS + 8):
        got += u64(aegis.slice_take(slot) != Error.NOT_PERMITTED)
    return got
