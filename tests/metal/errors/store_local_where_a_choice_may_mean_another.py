# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Ptr, Span, struct, u8


@struct
class Box:
    data: Span[u8]
    next: "Ptr[Box]"


SHARED: Box = Box()


def main(c: bool) -> None:
    box = Box()
    target = box if c else SHARED
    a = Array[u8, 4]()
    target.data = a[:]
