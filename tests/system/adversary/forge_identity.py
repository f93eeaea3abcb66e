# SPDX-License-Identifier: MIT
"""Writes another number and another name into its environment page, then shuts the machine down as environment 0."""

from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> u64:
    aegis.environment_page().identifier = 0
    aegis.environment_page().name.fill(65)
    return u64(aegis.shutdown(0) != Error.NOT_PERMITTED)
