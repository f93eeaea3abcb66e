# SPDX-License-Identifier: MIT
"""No frame is free before `vm` has started; then one, which is enough for its table; then some are."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right
from exokernel.exos import aegis, vm
from exokernel.metal import i32, u64


def main() -> i32:
    last: u64 = 0
    while True:
        frame = aegis.frame_claim(abi.ANY)
        if frame < 0:
            break
        last = u64(frame)
    if vm.reserve(0x20000, 1, Right.WRITE, vm.Flag.DEMAND, vm.refuse) != Error.NO_FRAMES:
        return 1
    aegis.frame_release(last)
    if vm.reserve(0x20000, 1, Right.WRITE, vm.Flag.DEMAND, vm.refuse) != 0:
        return 2
    if vm.commit(0x20000, 1) != Error.NO_FRAMES:
        return 3
    for back in range(1, 20):
        aegis.frame_release(last - back)
    if vm.commit(0x20000, 1) != 0:
        return 4
    return 0
