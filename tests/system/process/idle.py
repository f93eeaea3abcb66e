# SPDX-License-Identifier: MIT
"""Sleeps until somebody ends it."""

from exokernel.aegis import abi
from exokernel.exos import aegis


def main() -> None:
    while True:
        aegis.wait(abi.FOREVER)
