# SPDX-License-Identifier: MIT
"""An event interrupts the application at its event entry, once, and it goes on where it was without the kernel.

The event is one that the application makes pending itself; the kernel sees it when it gives the processor back.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.metal import addr, asm, atomic_and, naked, offsetof, u32, u64, volatile_load

PAGE = abi.ENVIRONMENT_ADDRESS
FRAME = PAGE + offsetof(abi.EnvironmentPage, "event_frame")
FRAME_R11 = FRAME + offsetof(abi.ExceptionFrame, "r11")
FRAME_RCX = FRAME + offsetof(abi.ExceptionFrame, "rcx")
FRAME_FLAGS = FRAME + offsetof(abi.ExceptionFrame, "flags")
FRAME_IP = FRAME + offsetof(abi.ExceptionFrame, "ip")

happened: u64 = 0


@naked
def upcall() -> None:
    asm("""
        inc qword ptr [{happened}]
        mov rcx, qword ptr [{FRAME_RCX}]
        mov r11, qword ptr [{FRAME_R11}]
        mov esp, {FRAME_FLAGS}
        popfq
        pop rsp
        jmp qword ptr [{FRAME_IP}]
    """)


def main() -> None:
    page = aegis.environment_page()
    page.event_entry = u32(u64(upcall))
    page.pending = abi.Event.NETWORK
    page.masked = abi.Event.NETWORK
    aegis.yield_to(page.identifier)
    print("masked", happened)
    page.masked = 0
    spins: u64 = 0
    while volatile_load(addr(happened)) == 0 and spins < 1_000_000_000:
        spins += 1
    print("interrupted", happened, "entry", page.event_entry, "cause", page.event_frame.cause.raw)
    aegis.yield_to(page.identifier)
    print("not again", happened)
    print("wait", aegis.wait(abi.FOREVER))
    atomic_and(addr(page.pending), ~u64(abi.Event.NETWORK))
    print("wait", aegis.wait(1))
