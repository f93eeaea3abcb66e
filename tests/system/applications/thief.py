# SPDX-License-Identifier: MIT
"""Looks for another's secret in all memory that can be had. Environments 1 and 2 write the secret all over their
memory; 1 then sleeps, 2 ends. Environment 0 tries to map every frame of the machine, then claims every free frame, and
reads whatever it got. It counts what it mapped but for the bundle's frames, which everybody may.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import FrameKind, Right, State
from exokernel.exos import aegis
from exokernel.metal import Array, Ptr, addr, u64, volatile_load, volatile_store

HEAP = 0x10000000 // abi.PAGE_BYTES
SECRET_XOR = 0x5EC2E7_0F_01_2E  # the secret itself stands nowhere in this program
hoard: Array[u64, 0x4000] = Array[u64, 0x4000]()
mask: u64 = 0x0123456789ABCDEF


def secret() -> u64:
    return volatile_load(addr(mask)) ^ SECRET_XOR


def hide() -> None:
    for i in range(u64(len(hoard))):
        volatile_store(addr(hoard[i]), secret())
    if aegis.environment_page().identifier == 1:
        aegis.wait(abi.FOREVER)


def count_secrets() -> u64:
    """How often the page at HEAP holds it."""
    page = Ptr[u64](HEAP * abi.PAGE_BYTES)
    found: u64 = 0
    for i in range(abi.PAGE_BYTES // 8):
        found += u64(volatile_load(page + i) == secret())
    return found


def main() -> None:
    system = aegis.system_page()
    if aegis.environment_page().identifier != 0:
        hide()
        return
    while system.environments[2].state != State.FREE or system.environments[1].state != State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    aegis.tlb_node(HEAP, u64(aegis.frame_claim(abi.ANY)))
    for _ in range(3):
        aegis.frame_claim(abi.ANY)
    own = u64(system.environments[0].frames)
    mapped: u64 = 0
    found: u64 = 0
    for frame in range(system.frames + 1000):
        if aegis.tlb_insert(HEAP, frame, Right.READ) == 0:
            mapped += u64(aegis.frame_entry(frame).kind != FrameKind.PUBLIC)
            found += count_secrets()
            aegis.tlb_insert(HEAP, 0, Right.NONE)
    print("own", own, "mapped", mapped, "secrets", found)
    free = system.frames_free
    claimed: u64 = 0
    found = 0
    while True:
        got = aegis.frame_claim(abi.ANY)
        if got < 0:
            break
        claimed += 1
        aegis.tlb_insert(HEAP, u64(got), Right.READ)
        found += count_secrets()
    print("free", free, "claimed", claimed, "secrets", found)
