# SPDX-License-Identifier: MIT
from exokernel.metal import Array, Span, struct, u32, u8


@struct
class Box:
    data: Span[u8]


def put(box: Box, data: Span[u8]) -> None:
    box.data = data


def main(x: u32) -> u32:
    box = Box()
    a = Array[u8, 4]()
    put(box, a)
    return x
