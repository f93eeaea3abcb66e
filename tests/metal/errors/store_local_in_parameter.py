# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Span, struct, u32, u8


@struct
class Box:
    data: Span[u8]


def put(box: Box) -> None:
    a = Array[u8, 4]()
    box.data = a


def fill(x: u32) -> None:
    box = Box()
    put(box)


def main(x: u32) -> u32:
    fill(x)
    return x
