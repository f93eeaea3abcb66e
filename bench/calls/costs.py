# SPDX-License-Identifier: MIT
"""What each call costs, in instructions from the call site back to it: run it under `-icount shift=0`, where the
time-stamp counter counts them. An application for exokernel.host.interface_document, which puts the numbers into docs/abi.md.

Every line printed is `call instructions`, for a call that does what it is for: the smallest of ROUNDS, so that neither
a tick nor a first touch is in it. Calls that do not come back have no number.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Right
from exokernel.exos import aegis
from exokernel.metal import Array, addr, aligned, asm, i64, naked, noinline, u8, u64

ROUNDS = 20
SANDBOX = 0x10000000 // abi.PAGE_BYTES  # this page and the 512 behind it are nobody's yet
page: Array[u8, 4096] = aligned(4096, Array[u8, 4096](b"\n" * 4096))


@naked
def cost_of(number: u64, first: u64, second: u64, third: u64, fourth: u64) -> u64:
    """Instructions of one call, those that load its arguments not counted. Everything that a call may destroy is saved."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        push rdi
        mov rdi, rsi
        mov rsi, rdx
        mov r9, rcx
        rdtsc
        shl rdx, 32
        or rax, rdx
        xchg rax, qword ptr [rsp]
        mov rdx, r9
        syscall
        mov r9, rax
        rdtsc
        shl rdx, 32
        or rax, rdx
        pop rdx
        sub rax, rdx
        mov rdx, r9
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        mov qword ptr [{answer}], rdx
        ret
    """)


GLUE = 6  # instructions counted besides the call: shl, or, xchg, mov before it, mov and rdtsc after it
answer: i64 = 0
last_frame: u64 = 0


@noinline
def measure(name: str, number: u64, first: u64, second: u64, third: u64) -> None:
    """Prints the least cost of a call that succeeds each time with the same arguments."""
    least: u64 = 0xFFFFFFFFFFFFFFFF
    for _ in range(ROUNDS):
        least = min(least, cost_of(number, first, second, third, 0))
        if answer < 0:
            print(name, "answered", answer)
            return
    print(name, least - GLUE)


def claim() -> u64:
    """A frame of our own."""
    return u64(aegis.frame_claim(abi.ANY))


def nodes() -> None:
    """`tlb_node` takes another frame and another place each time."""
    least: u64 = 0xFFFFFFFFFFFFFFFF
    for i in range(ROUNDS):
        least = min(least, cost_of(Call.TLB_NODE, SANDBOX + 512 * (i + 1), claim(), 0, 0))
        if answer < 0:
            print("tlb_node answered", answer)
            return
    print("tlb_node", least - GLUE)


def slices() -> None:
    """A claim of one position, its release, and a gift to ourselves, in turn."""
    claimed: u64 = 0xFFFFFFFFFFFFFFFF
    given: u64 = 0xFFFFFFFFFFFFFFFF
    released: u64 = 0xFFFFFFFFFFFFFFFF
    for _ in range(ROUNDS):
        claimed = min(claimed, cost_of(Call.SLICE_CLAIM, abi.SLICES - 1, 0, 0, 0))
        given = min(given, cost_of(Call.SLICE_GIVE, abi.SLICES - 1, aegis.environment_page().identifier, 0, 0))
        released = min(released, cost_of(Call.SLICE_RELEASE, abi.SLICES - 1, 0, 0, 0))
        if answer < 0:
            print("slice_release answered", answer)
            return
    print("slice_claim", claimed - GLUE)
    print("slice_give", given - GLUE)
    print("slice_release", released - GLUE)


def main() -> None:
    measure("console_write", Call.CONSOLE_WRITE, u64(addr(page)), 1, 0)
    measure("frame_claim", Call.FRAME_CLAIM, abi.ANY, 0, 0)
    aegis.tlb_node(SANDBOX, claim())
    measure("tlb_insert", Call.TLB_INSERT, SANDBOX, claim(), Right.READ)
    measure("tlb_remove", Call.TLB_REMOVE, SANDBOX, 1, 0)
    spare = claim()
    measure("frame_break", Call.FRAME_BREAK, spare, 0, 0)
    measure("frame_pin", Call.FRAME_PIN, spare, 1, 0)
    measure("frame_guarantee", Call.FRAME_GUARANTEE, spare, 1, 0)
    nodes()
    slices()
    measure("floating_point", Call.FLOATING_POINT, 1, 0, 0)
    measure("wait", Call.WAIT, 0, 0, 0)
    if aegis.system_page().network_present != 0:
        measure("network_transmit", Call.NETWORK_TRANSMIT, u64(addr(page)), 64, 0)
