# SPDX-License-Identifier: MIT
from exokernel.metal import u32


async def helper(x: u32) -> u32:
    return x


def main(x: u32) -> u32:
    return helper(x)
