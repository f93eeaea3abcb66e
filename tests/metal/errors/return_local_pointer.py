# SPDX-License-Identifier: MIT
from exokernel.metal import Ptr, addr, struct, u32


@struct
class Point:
    x: u32
    y: u32

    def sum(self) -> u32:
        return self.x + self.y


def main() -> Ptr[u32]:
    p = Point()
    return addr(p.x)
