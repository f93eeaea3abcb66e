# SPDX-License-Identifier: MIT
from exokernel.metal import u32, u32be


def main(x: u32be) -> u32:
    return x
