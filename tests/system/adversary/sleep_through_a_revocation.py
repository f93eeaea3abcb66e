# SPDX-License-Identifier: MIT
"""Masks all events and sleeps while its frames are wanted and taken."""

from family import HOARD, hoard, later

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64

REVOKED = True


def main() -> u64:
    aegis.environment_page().masked = abi.FOREVER
    hoard()
    got = u64(aegis.wait(later(1500)) != 0)
    got += u64(aegis.environment_page().lost_count < 100)  # frames, and slices
    own = aegis.environment_page().identifier
    return got + u64(aegis.system_page().environments[own].frames < HOARD // 2)
