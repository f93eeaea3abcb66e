# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, Span, addr, struct, u8


@struct
class Box:
    data: Span[u8]
    next: "Ptr[Box]"


SHARED: Box = Box()


def main(c: bool) -> None:
    box = Box()
    box.next = addr(SHARED)
    a = Array[u8, 4]()
    box.data = a[:]
    box.next[0].copy_from(box)
