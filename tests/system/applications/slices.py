# SPDX-License-Identifier: MIT
"""The slice vector, the prologue and the epilogue. Environment 0 uses them and says what it saw; environment 1
computes beside it and says what the other owes.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis
from exokernel.metal import addr, asm, naked, offsetof, u8, u32, u64, volatile_load

PAGE = abi.ENVIRONMENT_ADDRESS
END_FRAME = PAGE + offsetof(abi.EnvironmentPage, "slice_end_frame")
END_RCX = END_FRAME + offsetof(abi.ExceptionFrame, "rcx")
END_R11 = END_FRAME + offsetof(abi.ExceptionFrame, "r11")
END_FLAGS = END_FRAME + offsetof(abi.ExceptionFrame, "flags")
END_IP = END_FRAME + offsetof(abi.ExceptionFrame, "ip")
SAVED = PAGE + offsetof(abi.EnvironmentPage, "saved")
SAVED_IP = SAVED + offsetof(abi.Context, "ip")
START_ENTRY = PAGE + offsetof(abi.EnvironmentPage, "slice_start_entry")

epilogues: u64 = 0
prologues: u64 = 0
way_out: u64 = 0  # a stack pointer


@naked
def epilogue() -> None:
    """Counts, gives the processor away, goes on when it has it again. A yield keeps `rsp` only."""
    asm("""
        inc qword ptr [{epilogues}]
        push rax
        push rbx
        push rdx
        push rsi
        push rdi
        push rbp
        push r8
        push r9
        push r10
        push r12
        push r13
        push r14
        push r15
        mov eax, {abi.Call.YIELD_TO}
        mov edi, {abi.ANY_ENVIRONMENT}
        syscall
        pop r15
        pop r14
        pop r13
        pop r12
        pop r10
        pop r9
        pop r8
        pop rbp
        pop rdi
        pop rsi
        pop rdx
        pop rbx
        pop rax
        mov rcx, qword ptr [{END_RCX}]
        mov r11, qword ptr [{END_R11}]
        mov esp, {END_FLAGS}
        popfq
        pop rsp
        jmp qword ptr [{END_IP}]
    """)


@naked
def endless_epilogue() -> None:
    """Never gives the processor back."""
    asm("""
        inc qword ptr [{epilogues}]
    2:
        jmp 2b
    """)


@naked
def prologue() -> None:
    """Counts and continues from the save area."""
    asm("""
        inc qword ptr [{prologues}]
        mov esp, {SAVED}
        pop r15
        pop r14
        pop r13
        pop r12
        pop r11
        pop r10
        pop r9
        pop r8
        pop rdi
        pop rsi
        pop rbp
        pop rbx
        pop rdx
        pop rcx
        pop rax
        lea rsp, [rsp + 16]
        popfq
        pop rsp
        jmp qword ptr [{SAVED_IP}]
    """)


@naked
def leave_loop() -> None:
    """A prologue that continues elsewhere than in the endless epilogue."""
    asm("""
        inc qword ptr [{prologues}]
        mov rsp, qword ptr [{way_out}]
        ret
    """)


@naked
def spin_in_epilogue() -> None:
    """Waits for its slice's end, whose epilogue never ends; returns when the prologue makes it return."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        lea rax, [rip + 3f]
        push rax
        mov qword ptr [{way_out}], rsp
    2:
        jmp 2b
    3:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


def expect(what: str, good: bool) -> None:
    if not good:
        print("wrong:", what)


def owner(position: u64) -> u8:
    return aegis.system_page().slice_owners[position]


def claims() -> None:
    """Claiming by position, any, giving, giving up; all of them; generations move on."""
    before = aegis.system_page().slice_generations[40]
    expect("claim", aegis.slice_claim(40) == 40 and owner(40) == 0)
    expect("claim twice", aegis.slice_claim(40) == Error.BUSY)
    expect("claim of another's", aegis.slice_claim(1) == Error.BUSY and owner(1) == 1)
    expect("position out of range", aegis.slice_claim(64) == Error.BAD_ARGUMENT)
    expect("give to nobody", aegis.slice_give(40, 63) == Error.NOT_RUNNABLE)
    expect("give to nonsense", aegis.slice_give(40, 1 << 63) == Error.NOT_RUNNABLE)
    expect("give", aegis.slice_give(40, 1) == 0 and owner(40) == 1)
    expect("give another's", aegis.slice_give(40, 0) == Error.NOT_OWNER)
    expect("release another's", aegis.slice_release(40) == Error.NOT_OWNER)
    expect("release out of range", aegis.slice_release(64) == Error.NOT_OWNER)
    expect("generations", aegis.system_page().slice_generations[40] == before + 2)
    count: u64 = 0
    while aegis.slice_claim(abi.ANY) >= 0:
        count += 1
    expect("all claimed", count == 61 and aegis.slice_claim(abi.ANY) == Error.NO_SLICES)
    for position in range(abi.SLICES):
        if owner(position) == 0 and position != 0:
            expect("release", aegis.slice_release(position) == 0)
    expect("all free", owner(63) == abi.ENVIRONMENTS and owner(0) == 0)


def watch() -> None:
    """Says how much the other owes at most, then computes for ever."""
    excess = addr(aegis.system_page().excess[0])
    while volatile_load(excess) != abi.EXCESS_LIMIT:
        pass
    print("owes", abi.EXCESS_LIMIT)
    while volatile_load(excess) != 0:
        pass
    print("paid")
    while True:
        pass


def main() -> None:
    page = aegis.environment_page()
    if page.identifier != 0:
        watch()
    claims()
    page.slice_end_entry = u32(u64(epilogue))
    while volatile_load(addr(epilogues)) == 0:
        pass
    print("epilogue", epilogues, "owes", aegis.system_page().excess[0])
    page.slice_end_entry = u32(u64(epilogue))
    page.slice_start_entry = u32(u64(prologue))
    while volatile_load(addr(epilogues)) < 2 or volatile_load(addr(prologues)) == 0:
        pass
    print("prologue", prologues, "entries", page.slice_end_entry, page.slice_start_entry)
    page.slice_end_entry = u32(u64(endless_epilogue))
    page.slice_start_entry = u32(u64(leave_loop))
    spin_in_epilogue()
    print("forced", epilogues, prologues)
    print("in the loop", page.saved.ip >= u64(endless_epilogue) and page.saved.ip < u64(endless_epilogue) + 32)
