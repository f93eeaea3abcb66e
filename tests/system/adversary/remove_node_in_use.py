# SPDX-License-Identifier: MIT
"""Takes back the table nodes that map its own program and stack, to have them as memory."""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    got = u64(aegis.tlb_node_remove(abi.IMAGE_ADDRESS // abi.PAGE_BYTES) != Error.IN_USE)
    return got + u64(aegis.tlb_node_remove(abi.STACK_TOP // abi.PAGE_BYTES - 1) != Error.IN_USE)
