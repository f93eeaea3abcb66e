# SPDX-License-Identifier: MIT
"""Single steps, each an exception with its address, and exceptions of floating-point arithmetic."""

from exokernel.aegis import abi
from exokernel.exos import aegis, exceptions
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, addr, asm, naked, offsetof, u8, u16, u32, u64

ENTRY = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_entry")
FRAME = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_frame")
FRAME_ADDRESS = FRAME + offsetof(abi.ExceptionFrame, "address")
FRAME_FLAGS = FRAME + offsetof(abi.ExceptionFrame, "flags")
FRAME_IP = FRAME + offsetof(abi.ExceptionFrame, "ip")
FRAME_CAUSE = FRAME + offsetof(abi.ExceptionFrame, "cause")
STEPS = 6
TRAP_FLAG = 0x100

steps: u64 = 0
addresses: Array[u64, 16] = Array[u64, 16]()
vector_seen: u64 = 0


@naked
def step() -> None:
    """Notes where the program is; after STEPS of them lets it run."""
    asm("""
        mov qword ptr [{FRAME_ADDRESS}], rax
        mov rcx, qword ptr [{steps}]
        mov r11, qword ptr [{FRAME_IP}]
        mov qword ptr [{addresses} + rcx*8], r11
        inc rcx
        mov qword ptr [{steps}], rcx
        cmp rcx, {STEPS}
        jne 2f
        and dword ptr [{FRAME_FLAGS}], {~TRAP_FLAG}
    2:
        mov dword ptr [{ENTRY}], offset {step}
        mov eax, {abi.Call.EXCEPTION_RETURN}
        syscall
    """)


@naked
def stepped() -> u64:
    """Sets the trap flag and computes 1 + 2 + 4 + 8 in `rax`."""
    asm("""
        mov eax, 1
        pushfq
        or dword ptr [rsp], {TRAP_FLAG}
        popfq
        nop
        add eax, 2
        mov ecx, 4
        add eax, ecx
        mov r11d, 8
        add eax, r11d
        nop
        ret
    """)


def floating(registers: Registers) -> u8:
    global vector_seen
    vector_seen = registers.cause.vector
    asm("fnclex", "~{memory}")
    return Verdict.SKIP


def main() -> None:
    aegis.environment_page().exception_entry = u32(u64(step))
    result = stepped()
    print("stepped", steps, "result", result)
    print("lengths", end="")
    for i in range(1, STEPS):
        print("", addresses[i] - addresses[i - 1], end="")
    print()
    aegis.environment_page().exception_entry = 0
    exceptions.handle(exceptions.FLOATING_POINT, floating)
    aegis.floating_point(1)
    control = Array[u16, 1]([0x37B])  # a division by zero is not masked
    asm("fldcw [rdi]; fld1; fldz; fdivp; fwait", "{rdi},~{memory}", u64(addr(control)))
    print("floating point", vector_seen)
