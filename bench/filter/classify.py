# SPDX-License-Identifier: MIT
"""Packet filters in user space: the table, its code, and the instructions that both need to classify a frame.

Every line printed is `row variant number ...`: differences of the time-stamp counter, less that of measuring nothing; the
call and the return count. Answers are checked.
"""

from typing import Final

from exokernel.aegis import abi, filter, filter_code
from exokernel.aegis.abi import Atom, Right
from exokernel.exos import aegis, measure
from exokernel.exos.net import packets
from exokernel.exos.net.packets import ip, tcp
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Ptr, Span, addr, asm, i64, noinline, u8, u16, u32, u64

FLOWS = 500
SAMPLES = 101
CODE = 0x3000_0000
CODE_PAGES = 32

FLOW = (ip.source == 1) & (ip.destination == "10.0.0.2") & (tcp.source == 2) & (tcp.destination == 80)
COUNT = len(packets.listed(FLOW))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FLOW)
SOURCE = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 26 and a.kind == 0)
PORT = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 14 and a.width == 16)

table: filter.Table = filter.Table()
code: filter_code.Code = filter_code.Code()
frame: Array[u8, 60] = Array[u8, 60]()
samples: Array[u64, SAMPLES] = Array[u64, SAMPLES]()
nothing: u64 = 0


def source_of(number: u64) -> u32:
    """Scattered over the Internet (Knuth's linear congruence)."""
    return u32((number + 1) * 6364136223846793005 >> 29)


def port_of(number: u64) -> u16:
    return u16(1024 + (number * 40503 >> 3) % 60000)


def insert(number: u64) -> i64:
    atoms = Array[Atom, packets.ATOMS]()
    for i in range(packets.ATOMS):
        atoms[i].copy_from(ATOMS[i])
    atoms[SOURCE].value = source_of(number)
    atoms[PORT].value = u32(port_of(number))
    return filter.insert(table, atoms[:COUNT], u32(number), u32(number))


def write_frame(number: u64) -> None:
    """A segment of that flow."""
    header = Array[u8, 38](HEADER)
    frame[: len(header)].copy_from(header)
    source, port = source_of(number), port_of(number)
    for i in range(4):
        frame[26 + i] = u8(source >> (24 - 8 * i))
    frame[34] = u8(port >> 8)
    frame[35] = u8(port)


HEADER = bytes(12) + bytes.fromhex("0800 4500002800004000 4006 0000 00000000 0a000002 0000 0050")


def report(row: str, flows: u64, variant: str, count: u64) -> None:
    print(f"{row}-{flows}", variant, end="")
    for i in range(count):
        print("", samples[i] - nothing, end="")
    print()


def check(i: u64, number: u64, before: u64, after: u64, found: i64) -> None:
    assert found == i64(number), "the wrong flow"
    samples[i] = after - before


@noinline
def measure_compiled(flows: u64) -> None:
    for i in range(SAMPLES):
        number = i * flows // SAMPLES
        write_frame(number)
        before = read_timestamp()
        found = asm("call rbx", CHANGED, addr(frame[0]), len(frame), u64(CODE), returns=i64)
        after = read_timestamp()
        check(i, number, before, after, found)


CHANGED = "={rax},{rdi},{rsi},{rbx},~{rcx},~{rdx},~{r8},~{r9},~{r10},~{r11},~{flags},~{memory}"


@noinline
def measure_interpreted(flows: u64) -> None:
    for i in range(SAMPLES):
        number = i * flows // SAMPLES
        write_frame(number)
        before = read_timestamp()
        found = filter.classify(table, frame)
        after = read_timestamp()
        check(i, number, before, after, found)


@noinline
def measure_nothing() -> None:
    global nothing
    least: u64 = 0xFFFF_FFFF
    for _ in range(SAMPLES):
        before = read_timestamp()
        least = min(least, read_timestamp() - before)
    nothing = least


def protect(rights: u64) -> None:
    for i in range(CODE_PAGES // 32):
        assert aegis.tlb_protect(CODE // abi.PAGE_BYTES + 32 * i, 32, rights) == 0


def measure_all(flows: u64) -> None:
    """From as many flows as there are now to `flows`, then classify."""
    space = Span[u8](Ptr[u8](CODE), CODE_PAGES * abi.PAGE_BYTES)
    while table.count < flows:
        before = read_timestamp()
        found = insert(table.count)
        samples[0] = read_timestamp() - before
        assert found >= 0
    report("insert", flows, "table", 1)
    protect(Right.WRITE)
    before = read_timestamp()
    filter_code.begin(code, table, space)
    assert filter_code.go_on(code, table, 1 << 20) and code.length <= len(space)
    samples[0] = read_timestamp() - before
    protect(Right.EXECUTE)
    report("insert", flows, "code", 1)
    print(f"code-{flows}", "bytes", code.length)
    measure_compiled(flows)
    report("classify", flows, "compiled", SAMPLES)
    measure_interpreted(flows)
    report("classify", flows, "interpreted", SAMPLES)


def main() -> None:
    measure.print_frequency()
    page = u64(CODE // abi.PAGE_BYTES)
    assert aegis.tlb_node(page, u64(aegis.frame_claim_table(abi.ANY))) == 0
    for i in range(CODE_PAGES):
        assert aegis.tlb_insert(page + i, u64(aegis.frame_claim(abi.ANY)), Right.WRITE) == 0
    measure_nothing()
    measure_all(10)
    measure_all(FLOWS)
