# SPDX-License-Identifier: MIT
"""The kernel's primitives, measured from the application's call site back to it. Run it three times in one image:
environment 0 measures, 1 answers transfers, 2 yields back.

Every line printed is `row number number ...`: differences of the time-stamp counter, less that of measuring nothing.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Kind, Right  # noqa: F401  (in assembly)
from exokernel.exos import aegis, measure
from exokernel.metal import Array, asm, naked, noinline, offsetof, u32, u64

SAMPLES = 101
PAGES = 100
FIRST_PAGE = 0x10000000 // abi.PAGE_BYTES
NOWHERE = 0x30000000

ENTRY = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_entry")
FRAME = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "exception_frame")
FRAME_R11 = FRAME + offsetof(abi.ExceptionFrame, "r11")
FRAME_RCX = FRAME + offsetof(abi.ExceptionFrame, "rcx")
FRAME_IP = FRAME + offsetof(abi.ExceptionFrame, "ip")
FRAME_FLAGS = FRAME + offsetof(abi.ExceptionFrame, "flags")

samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
nothing: u64 = 0


@naked
def handler() -> None:
    """Goes on after the instruction, which is two bytes long."""
    asm("""
        add qword ptr [{FRAME_IP}], 2
        mov dword ptr [{ENTRY}], offset {handler}
        mov rcx, qword ptr [{FRAME_RCX}]
        mov r11, qword ptr [{FRAME_R11}]
        mov esp, {FRAME_FLAGS}
        popfq
        pop rsp
        jmp qword ptr [{FRAME_IP}]
    """)


@naked
def answer() -> None:
    """The entry of the environment that is called."""
    asm("""
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    """)


@naked
def transfer() -> u64:
    """One call and return, in timestamps. The callee touches no register."""
    asm("""
        lea rax, [rip + 2f]
        mov dword ptr [{aegis.RETURN_ENTRY}], eax
        rdtsc
        shl rdx, 32
        or rax, rdx
        mov r8, rax
        mov eax, {Call.TRANSFER}
        mov edi, 1
        syscall
    2:
        rdtsc
        shl rdx, 32
        or rax, rdx
        sub rax, r8
        ret
    """)


@naked
def no_transfer() -> u64:
    """The same without it."""
    asm("""
        rdtsc
        shl rdx, 32
        or rax, rdx
        mov r8, rax
        rdtsc
        shl rdx, 32
        or rax, rdx
        sub rax, r8
        ret
    """)


def report(row: str) -> None:
    measure.row()
    print(row, end="")
    for sample in samples:
        print("", sample - nothing, end="")
    print()


@noinline
def measure_nothing() -> None:
    global nothing
    for i in range(SAMPLES):
        before = measure.begin()
        samples[i] = measure.end() - before
    least = samples[0]
    for sample in samples:
        least = min(least, sample)
    nothing = least


@noinline
def measure_null() -> None:
    for i in range(SAMPLES):
        before = measure.begin()
        aegis.null()
        samples[i] = measure.end() - before


@noinline
def measure_protect(page: u64, count: u64) -> None:
    for i in range(SAMPLES):
        rights = u64(Right.READ) + u64(i % 2)
        before = measure.begin()
        aegis.tlb_protect(page, count, rights)
        samples[i] = measure.end() - before


@noinline
def measure_insert(page: u64, frame: u64) -> None:
    for i in range(SAMPLES):
        aegis.tlb_remove(page, 1)
        before = measure.begin()
        aegis.tlb_insert(page, frame, Right.READ)
        samples[i] = measure.end() - before


@noinline
def measure_insert_bound(page: u64, slot: u64) -> None:
    for i in range(SAMPLES):
        aegis.tlb_remove(page, 1)
        before = measure.begin()
        aegis.tlb_insert_bound(page, slot, Right.READ)
        samples[i] = measure.end() - before


@noinline
def measure_undefined() -> None:
    for i in range(SAMPLES):
        before = measure.begin()
        asm("ud2", "~{memory}")
        samples[i] = measure.end() - before


@noinline
def measure_fault() -> None:
    address: u64 = NOWHERE
    for i in range(SAMPLES):
        before = measure.begin()
        asm("mov ecx, [rdi]", "{rdi},~{rcx},~{memory}", address)
        samples[i] = measure.end() - before


@noinline
def measure_yield() -> None:
    for i in range(SAMPLES):
        before = measure.begin()
        aegis.yield_to(2)
        samples[i] = measure.end() - before


def claim() -> u64:
    return u64(aegis.frame_claim(abi.ANY))


def bind(slot: u64, frame: u64) -> None:
    """Binds a frame of our own, as any other environment that has the capability would."""
    name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
    rights = u64(aegis.frame_entry(frame).generation) << 32 | Right.WRITE
    aegis.bind(slot, name, rights, u64(aegis.capability_mint(name, rights)))


def main() -> None:
    global nothing
    number = aegis.environment_page().identifier
    if number == 1:
        aegis.environment_page().transfer_entry = u32(u64(answer))
        aegis.wait(abi.FOREVER)
    if number == 2:
        while True:
            aegis.yield_to(0)
    while aegis.system_page().environments[1].state != abi.State.SLEEPING:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    measure.print_frequency()
    measure_nothing()
    measure_null()
    report("null-call")
    aegis.tlb_node(FIRST_PAGE, claim())
    for i in range(PAGES):
        aegis.tlb_insert(FIRST_PAGE + i, claim(), Right.READ)
    measure_protect(FIRST_PAGE, 1)
    report("tlb-protect")
    measure_protect(FIRST_PAGE, PAGES)
    report("tlb-protect-100")
    frame = claim()
    measure_insert(FIRST_PAGE + PAGES, frame)
    report("tlb-insert")
    bind(0, frame)
    measure_insert_bound(FIRST_PAGE + PAGES + 1, 0)
    report("tlb-insert-bound")
    measure_protect(FIRST_PAGE + PAGES + 1, 1)
    report("tlb-protect-bound")
    aegis.environment_page().exception_entry = u32(u64(handler))
    measure_undefined()
    report("undefined-instruction")
    measure_fault()
    report("page-fault")
    measure_yield()
    report("yield-round-trip")
    nothing = no_transfer()
    for i in range(SAMPLES):
        measure.begin()
        samples[i] = transfer()  # which looks at the clock itself
        measure.end()
    report("transfer-round-trip")
