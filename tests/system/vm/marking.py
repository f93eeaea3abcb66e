# SPDX-License-Identifier: MIT
"""Memory that is copied on write, as after a fork, though nobody else sees it."""

from exokernel.exos import vm
from exokernel.metal import u64


def mark(first: u64, end: u64) -> u64:
    """Marks all pages in [first, end) but those of SHARED regions and what faults write. How many pages are marked now."""
    for number in range(vm.state.regions_used + 1):
        start, stop = vm.part(number)
        loose = number == vm.state.regions_used
        if not loose and vm.state.regions[number].flags & vm.Flag.SHARED:
            continue
        stop = min(stop, end)
        page, until = vm.next_of_part(number, max(start, first), stop)
        while page != vm.NOTHING:
            at_once = vm.next_at_once(page) if loose else vm.NOTHING
            length: u64 = 1
            if page != at_once:
                length = vm.run(page, min(until, at_once))
                assert vm.make_copy_on_write(page, length) == 0
            page, until = vm.next_of_part(number, page + length, stop)
    return vm.state.copies
