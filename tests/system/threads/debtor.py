# SPDX-License-Identifier: MIT
"""Environment 0 is a scheduler; its client, which owns no slices, has an epilogue that takes much too long. The scheduler
owes for it, since the client could never pay. Then the client's threads are switched by the library's epilogue.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, schedule, thread
from exokernel.metal import addr, asm, naked, offsetof, u32, u64, volatile_load

END_FRAME = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "slice_end_frame")
END_FLAGS = END_FRAME + offsetof(abi.ExceptionFrame, "flags")
END_IP = END_FRAME + offsetof(abi.ExceptionFrame, "ip")
SLICES = 60  # that the threads compute

clients: schedule.Clients = schedule.Clients()
turns: u64 = 0
last: u64 = 2


@naked
def overdraw() -> None:
    """An epilogue of two and a half slices of 10,007 instructions."""
    asm("""
        push rax
        mov eax, 12500
    2:
        dec eax
        jnz 2b
        pop rax
        mov esp, {END_FLAGS}
        popfq
        pop rsp
        jmp qword ptr [{END_IP}]
    """)


def debt() -> u64:
    return u64(volatile_load(addr(aegis.system_page().excess[0])))


def slices() -> u64:
    count: u64 = 0
    for owner in aegis.system_page().slice_owners:
        count += u64(owner == aegis.environment_page().identifier)
    return count


def compute(number: u64) -> u64:
    global last, turns
    for _ in range(SLICES * 1_000):
        if volatile_load(addr(last)) != number:
            turns += 1
            last = number
    return 0


def main() -> None:
    if aegis.environment_page().identifier == 0:
        schedule.join(clients, 1, 1)
        schedule.serve(clients)
        return
    schedule.give_up(0)
    aegis.environment_page().slice_end_entry = u32(u64(overdraw))
    while debt() < 2:
        pass
    aegis.yield_to(0)  # ends what is borrowed
    thread.switch_at_slice_ends()
    one = u64(thread.create(compute, 0, 1))
    two = u64(thread.create(compute, 1, 1))
    thread.join(one)
    thread.join(two)
    print("own debt", aegis.system_page().excess[1], "slices", slices(), "turns", turns > 10)
