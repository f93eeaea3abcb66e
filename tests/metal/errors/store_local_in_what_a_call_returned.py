# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, Span, struct, u8


@struct
class Box:
    data: Span[u8]
    next: "Ptr[Box]"


SHARED: Box = Box()


def pick(a: Box, b: Box, c: bool) -> Box:
    return a if c else b


def main(c: bool) -> None:
    box = Box()
    a = Array[u8, 4]()
    pick(box, SHARED, c).data = a[:]
