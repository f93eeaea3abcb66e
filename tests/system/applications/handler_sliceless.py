# SPDX-License-Identifier: MIT
"""Gives up its slices and sleeps; if it ever runs again it says so and ends."""

from exokernel.aegis import abi
from exokernel.exos import aegis, console


def main() -> None:
    page = aegis.environment_page()
    for position in range(abi.SLICES):
        aegis.slice_release(position)
    page.masked = 0xFFFFFFFFFFFFFFFF ^ abi.Event.HANDLER
    aegis.wait(abi.FOREVER)
    print("child runs", page.pending)
    console.flush()
