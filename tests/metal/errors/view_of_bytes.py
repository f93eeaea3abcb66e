# SPDX-License-Identifier: MIT
from exokernel.metal import struct, u32, u8, view


@struct(packed=True)
class Header:
    kind: u8


def main(data: bytes) -> u32:
    return view(Header, data).kind
