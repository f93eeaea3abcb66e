# SPDX-License-Identifier: MIT
"""Computes for ever."""

from exokernel.exos import aegis


def main() -> None:
    while True:
        aegis.null()
