# SPDX-License-Identifier: MIT
"""Every call with arguments that it must refuse, every number that is no call, and registers that a call must not
touch.

Prints one line for each expectation that is not met, then `done`.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Call, Error, Right
from exokernel.exos import aegis
from exokernel.metal import Array, addr, aligned, asm, i64, naked, u8, u64

HEAP = 0x10000000  # no table node covers it at first
BAD_ADDRESSES: Array[u64, 12] = Array[u64, 12]([
    0, 1, 0x300000, 0x3FFFFFF0, 0x40000000, 0x40000001, 0x00007FFFFFFFFFF8, 0x0000800000000000, 0x8000000000000000,
    0xFFFF800000200000, 0xFFFFFFFF80200000, 0xFFFFFFFFFFFFFFFF,
])  # fmt: skip
BAD_LENGTHS: Array[u64, 6] = Array[u64, 6](
    [4097, 0x10000, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF]
)
page: Array[u8, 4096] = aligned(4096, Array[u8, 4096]())
# Calls that end the caller, sleep for long, or do not keep registers.
DESTROYING = (
    "EXIT",
    "EXCEPTION_RETURN",
    "SHUTDOWN",
    "WAIT",
    "YIELD_TO",
    "TRANSFER",
    "TRANSFER_BACK",
    "TRANSFER_ASYNCHRONOUS",
)
FREE_WITH_REGISTERS: Final[Array[bool, 256]] = Array[bool, 256](
    [n in list(Call) and Call(n).name in DESTROYING for n in range(256)]
)
IS_CALL: Final[Array[bool, 256]] = Array[bool, 256]([n in list(Call) for n in range(256)])

R9_AND_R10 = (
    Call.FRAME_CLAIM,
    Call.FRAME_CLAIM_TABLE,
    Call.TLB_INSERT,
    Call.TLB_INSERT_BOUND,
    Call.TLB_PROTECT,
)
FREE_WITH_SCRATCH: Final[Array[bool, 256]] = Array[bool, 256]([n in R9_AND_R10 for n in range(256)])
R9, R10 = 4, 5  # where `registers_around` notes them

before: Array[u64, 16] = Array[u64, 16]()
after: Array[u64, 16] = Array[u64, 16]()


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


@naked
def registers_around(number: u64) -> None:
    """Makes call `number` with a pattern in every register that it has to preserve, stored before and after."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov eax, edi
        mov edi, 0x20001
        mov rsi, 0x7fffffffffffffff
        mov rdx, 0x1111111111111103
        mov r8, 0x1111111111111104
        mov r9, 0x1111111111111105
        mov r10, 0x1111111111111106
        mov rbx, 0x1111111111111107
        mov rbp, 0x1111111111111108
        mov r12, 0x1111111111111109
        mov r13, 0x111111111111110a
        mov r14, 0x111111111111110b
        mov r15, 0x111111111111110c
        mov qword ptr [{before}], rdi
        mov qword ptr [{before} + 8], rsi
        mov qword ptr [{before} + 16], rdx
        mov qword ptr [{before} + 24], r8
        mov qword ptr [{before} + 32], r9
        mov qword ptr [{before} + 40], r10
        mov qword ptr [{before} + 48], rbx
        mov qword ptr [{before} + 56], rbp
        mov qword ptr [{before} + 64], r12
        mov qword ptr [{before} + 72], r13
        mov qword ptr [{before} + 80], r14
        mov qword ptr [{before} + 88], r15
        mov qword ptr [{before} + 96], rsp
        syscall
        mov qword ptr [{after}], rdi
        mov qword ptr [{after} + 8], rsi
        mov qword ptr [{after} + 16], rdx
        mov qword ptr [{after} + 24], r8
        mov qword ptr [{after} + 32], r9
        mov qword ptr [{after} + 40], r10
        mov qword ptr [{after} + 48], rbx
        mov qword ptr [{after} + 56], rbp
        mov qword ptr [{after} + 64], r12
        mov qword ptr [{after} + 72], r13
        mov qword ptr [{after} + 80], r14
        mov qword ptr [{after} + 88], r15
        mov qword ptr [{after} + 96], rsp
        mov qword ptr [{after} + 104], rcx
        mov qword ptr [{after} + 112], r11
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)


def check_registers() -> None:
    """Every call that keeps them; `rcx` and `r11` must hold no address of the kernel's."""
    for number in range(256):
        if FREE_WITH_REGISTERS[number]:
            continue
        registers_around(number)
        for i in range(13):
            if before[i] != after[i] and not (FREE_WITH_SCRATCH[number] and R9 <= i <= R10):
                print("call", number, "changed register", i, f"to {after[i]:#x}")
        if after[13] >= abi.USER_LIMIT or after[14] >= 1 << 22:
            print("call", number, f"left {after[13]:#x} and {after[14]:#x}")


def check_numbers() -> None:
    for number in range(256):
        if not IS_CALL[number]:
            expect("an unused number", aegis.call3(number, number, number, number), Error.NO_CALL)
    expect("only the low byte counts", aegis.call0(0xFFFFFFFFFFFFFF00), 0)


FLAGS = 0x44400  # alignment check, nested task, direction


@naked
def flags_around(number: u64) -> u64:
    """Makes call `number` (its argument is its number) with FLAGS set; the flags after it."""
    asm("""
        mov eax, edi
        pushfq
        pushfq
        or dword ptr [rsp], {FLAGS}
        popfq
        syscall
        pushfq
        pop rax
        popfq
        ret
    """)


def check_flags() -> None:
    """What the application does with its flags is its own affair, before and after a call."""
    for number in range(256):
        if not FREE_WITH_REGISTERS[number]:
            flags = flags_around(number)
            if flags & FLAGS != FLAGS or flags & 0x3000 != 0 or flags & 0x200 == 0:
                print("call", number, f"left the flags {flags:#x}")


def check_console() -> None:
    for address in BAD_ADDRESSES:
        expect("console_write from a bad address", aegis.call2(Call.CONSOLE_WRITE, address, 64), Error.BAD_ADDRESS)
    for length in BAD_LENGTHS:
        expect(
            "console_write of a bad length",
            aegis.call2(Call.CONSOLE_WRITE, u64(addr(page)), length),
            Error.BAD_ARGUMENT,
        )
    expect("console_write of nothing", aegis.call2(Call.CONSOLE_WRITE, 0xFFFFFFFF80200000, 0), 0)
    edge: u64 = abi.STACK_TOP - 8
    expect("console_write over the edge", aegis.call2(Call.CONSOLE_WRITE, edge, 16), Error.BAD_ADDRESS)


def check_frames() -> None:
    """A frame that is mapped cannot become a node; a node cannot be mapped; a frame of another's cannot be either."""
    claimed = aegis.frame_claim(abi.ANY)
    if claimed <= 0:
        print("frame_claim gave", claimed)
        return
    frame = u64(claimed)
    first: u64 = HEAP // abi.PAGE_BYTES
    expect("insert without a node", aegis.tlb_insert(first, frame, Right.READ), Error.NO_NODE)
    node = u64(aegis.frame_claim(abi.ANY))
    expect("donate a node", aegis.tlb_node(first, node), 0)
    expect("donate a node twice", aegis.tlb_node(first + 512, node), Error.NOT_OWNER)
    expect("map a node", aegis.tlb_insert(first, node, Right.READ), Error.NOT_OWNER)
    expect("map a frame", aegis.tlb_insert(first, frame, Right.READ | Right.WRITE), 0)
    expect("donate a mapped frame", aegis.tlb_node(first + 512, frame), Error.NOT_OWNER)
    expect("write and execute", aegis.tlb_insert(first + 1, frame, Right.WRITE | Right.EXECUTE), Error.BAD_ARGUMENT)
    expect("all rights", aegis.tlb_insert(first + 1, frame, 0xFFFFFFFFFFFFFFFF), Error.BAD_ARGUMENT)
    expect("unknown right", aegis.tlb_insert(first + 1, frame, 8), Error.BAD_ARGUMENT)
    expect("map frame 0", aegis.tlb_insert(first + 1, 0, Right.READ), Error.NOT_OWNER)
    expect("map the kernel", aegis.tlb_insert(first + 1, 0x200, Right.READ), Error.NOT_OWNER)
    expect("map the local APIC", aegis.tlb_insert(first + 1, 0xFEE00, Right.READ), Error.NOT_OWNER)
    expect("map what does not exist", aegis.tlb_insert(first + 1, 0xFFFFFFFFFFFFFFFF, Right.READ), Error.NOT_OWNER)
    expect("map beyond", aegis.tlb_insert(abi.USER_LIMIT // 4096, frame, Right.READ), Error.BAD_ARGUMENT)
    expect("map the kernel's half", aegis.tlb_insert(0xFFFFFFFF80200, frame, Right.READ), Error.BAD_ARGUMENT)
    expect("map at the end", aegis.tlb_insert(0xFFFFFFFFFFFFFFFF, frame, Right.READ), Error.BAD_ARGUMENT)
    expect("donate beyond", aegis.tlb_node(0xFFFFFFFFFFFFFFFF, frame), Error.BAD_ARGUMENT)
    expect("donate the kernel", aegis.tlb_node(first + 512, 0x200), Error.NOT_OWNER)
    expect("remove", aegis.tlb_insert(first, 0, Right.NONE), 0)
    expect("remove again", aegis.tlb_insert(first, 0, Right.NONE), 0)
    expect("donate an unmapped frame", aegis.tlb_node(first + 512, frame), 0)


def check_processor() -> None:
    expect("yield to nobody", aegis.yield_to(63), Error.NOT_RUNNABLE)
    expect("yield to the idle one", aegis.yield_to(64), Error.NOT_RUNNABLE)
    expect("yield to nonsense", aegis.yield_to(0x8000000000000040), Error.NOT_RUNNABLE)
    expect("wait for the past", aegis.wait(0), 0)


def check_network() -> None:
    if aegis.system_page().network_present == 0:
        print("no network")
        return
    for address in BAD_ADDRESSES:
        expect("network_bind to a bad address", aegis.call1(Call.NETWORK_BIND, address), Error.BAD_ADDRESS)
        expect("transmit from a bad address", aegis.network_transmit(address, 64), Error.BAD_ADDRESS)
    for length in BAD_LENGTHS:
        expect("transmit of a bad length", aegis.network_transmit(u64(addr(page)), length), Error.BAD_ARGUMENT)
    expect("transmit of nothing", aegis.network_transmit(u64(addr(page)), 0), Error.BAD_ARGUMENT)
    expect("bind too little memory", aegis.call1(Call.NETWORK_BIND, u64(addr(page))), Error.BAD_ADDRESS)
    expect("bind the program", aegis.call1(Call.NETWORK_BIND, abi.IMAGE_ADDRESS), Error.BAD_ADDRESS)


def main() -> None:
    check_numbers()
    check_registers()
    check_flags()
    check_console()
    check_frames()
    check_processor()
    check_network()
    print("done")
