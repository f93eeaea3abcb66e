# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, Span, struct, u8


@struct
class Box:
    data: Span[u8]
    next: "Ptr[Box]"


SHARED: Box = Box()


def main(outer: Box) -> None:
    box = Box()
    target = outer
    a = Array[u8, 4]()
    if len(a[:]) == 4:
        target = box
    target.data = a[:]
