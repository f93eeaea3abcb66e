# SPDX-License-Identifier: MIT
"""All of the application's own memory, image and stack too, is copied on write, as after a fork; and everything goes on,
handlers that write to variables among it. Prints what is not as it should be, then `done`.
"""

from marking import mark

from exokernel.aegis import abi
from exokernel.aegis.abi import Right
from exokernel.exos import aegis, exceptions, heap, vm
from exokernel.exos.exceptions import Registers, Verdict
from exokernel.metal import Array, Ptr, aligned, asm, i64, u8, u64, volatile_load, volatile_store

FIRST = 0x20000000 // abi.PAGE_BYTES
PAGES = 20

# Each in a page of its own, so that it is written for the first time by whom we mean.
light: Array[u64, 512] = aligned(abi.PAGE_BYTES, Array[u64, 512]())
full: Array[u64, 512] = aligned(abi.PAGE_BYTES, Array[u64, 512]())
plain: Array[u64, 512] = aligned(abi.PAGE_BYTES, Array[u64, 512]())


def expect(what: str, got: i64, wanted: i64) -> None:
    if got != wanted:
        print(what, "gave", got, "instead of", wanted)


def barrier(address: u64, error: u64) -> bool:
    light[0] += 1
    return vm.protect(address // abi.PAGE_BYTES, 1, Right.WRITE) == 0


def breakpoint_reached(registers: Registers) -> u8:
    full[0] += 1
    return Verdict.RESUME


def frames() -> i64:
    return i64(aegis.system_page().environments[aegis.environment_page().identifier].frames)


def main() -> None:
    block = Ptr[u64](u64(heap.allocate(30000)))
    expect("barrier", vm.reserve(FIRST, PAGES, Right.WRITE, vm.Flag.DEMAND, barrier), 0)
    expect("shared", vm.reserve(FIRST + PAGES, 1, Right.WRITE, vm.Flag.DEMAND | vm.Flag.SHARED, vm.refuse), 0)
    volatile_store(Ptr[u64]((FIRST + PAGES) * abi.PAGE_BYTES), 1)
    exceptions.handle(exceptions.BREAKPOINT, breakpoint_reached)
    for turn in range(3):
        for i in range(PAGES):
            volatile_store(Ptr[u64]((FIRST + i) * abi.PAGE_BYTES), i)
        owned = frames()
        marked = mark(0, vm.PAGES)
        expect("many", i64(marked > PAGES + 10), 1)
        expect("not what is shared", i64(aegis.table_entry(FIRST + PAGES).writable), 1)
        expect("protect", vm.protect(FIRST, PAGES, Right.READ), 0)
        for i in range(PAGES):
            volatile_store(Ptr[u64]((FIRST + i) * abi.PAGE_BYTES), i + 1)
        asm("int3", "~{memory}")
        plain[0] += 1
        block[0] = turn
        block[3000] = turn
        expect("light", i64(light[0]), i64(PAGES * (turn + 1)))
        expect("full", i64(full[0]), i64(turn + 1))
        expect("plain", i64(plain[0]), i64(turn + 1))
        expect("heap", i64(block[0] + block[3000]), i64(2 * turn))
        for i in range(PAGES):
            expect("value", i64(volatile_load(Ptr[u64]((FIRST + i) * abi.PAGE_BYTES))), i64(i + 1))
        expect("in place", frames(), owned)
        expect("fewer", i64(vm.state.copies < marked - PAGES), 1)
    print("done")
