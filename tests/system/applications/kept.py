# SPDX-License-Identifier: MIT
"""Prints how many frames the kernel keeps for itself, the bundle apart, and how many there are."""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import u64


def main() -> None:
    system = aegis.system_page()
    used: u64 = 0
    for status in system.environments:
        used += u64(status.frames)
    print(system.frames - system.frames_free - used - system.bundle_frames, system.frames)
    assert aegis.frame_entry(system.bundle_frame).kind == abi.FrameKind.PUBLIC, "the bundle"
