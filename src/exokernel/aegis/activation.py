# SPDX-License-Identifier: MIT
"""Where an environment continues. What it does on its own may have been put aside while it serves a transfer; it may
have left only two words behind in `yield_to`; or it waits for an answer, and whom it called runs in its place.

`caller`, `callee`, `aside` and `keyed` of the kernel page are read at once as one word by the way in of a transfer:
OPEN_LINKS is the one value that lets it pass. `roots` and `runnable` have an entry for each value of a byte, so a call
need not check the number that it is given.
"""

from exokernel.aegis import environment
from exokernel.aegis.abi import Context, Error
from exokernel.aegis.environment import NOBODY, UNKNOWN, KernelPage
from exokernel.metal import Array, i64, inline, noinline, u64

OPEN_LINKS = NOBODY | NOBODY << 8 | 1 << 16  # no caller, no callee, put aside
FREE_LINKS = NOBODY | NOBODY << 8  # no caller, no callee, and what it does on its own is in `context`
LONGEST_CHAIN = 8  # of environments each of which waits for the next; what lies beyond gets no slices of those before

roots: Array[u64, 256] = Array[u64, 256]()  # 0: there is no such environment
runnable: Array[u64, 256] = Array[u64, 256]()  # 0: it cannot be yielded to


def begin(identifier: u64) -> None:
    """An environment exists from now on and can run."""
    roots[identifier] = environment.records[identifier].root
    runnable[identifier] = environment.records[identifier].root


@inline
def serves(page: KernelPage) -> bool:
    """Whether the environment works for another that called it."""
    return page.caller != NOBODY


@inline
def unpack(page: KernelPage) -> None:
    """Makes a whole context of the two words that `yield_to` left, if it did."""
    if page.yielded_ip != 0:
        _unpack(page)


@noinline
def _unpack(page: KernelPage) -> None:
    environment.set_context(page.context, page.yielded_ip, page.yielded_sp)
    page.yielded_ip = 0


def put_aside(page: KernelPage) -> None:
    """Makes room for a transfer into an environment that serves nobody and waits for nobody."""
    if page.aside == 0:
        unpack(page)
        page.resting.copy_from(page.context)
        page.aside = 1


@inline
def prepare(page: KernelPage) -> None:
    """Makes `context` what the environment continues with: what it did on its own, unless it serves."""
    if page.aside and page.caller == NOBODY:
        _take_up(page)
    unpack(page)


@noinline
def _take_up(page: KernelPage) -> None:
    page.context.copy_from(page.resting)
    page.aside = 0


def own_context(page: KernelPage) -> Context:
    """Of what the environment does on its own: it slept, or was yielded from."""
    unpack(page)
    if page.aside:
        return page.resting
    return page.context


@inline
def end_of_chain(identifier: u64) -> u64:
    """Who runs when the processor is an environment's: whom it called, and so on. NOBODY beyond LONGEST_CHAIN."""
    if environment.records[identifier].kernel_page[0].callee == NOBODY:
        return identifier
    return follow(identifier)


@noinline
def follow(identifier: u64) -> u64:
    for _ in range(LONGEST_CHAIN + 1):
        callee = environment.records[identifier].kernel_page[0].callee
        if callee == NOBODY:
            return identifier
        identifier = u64(callee)
    return NOBODY


def forget(identifier: u64) -> u64:
    """An environment ends. Whoever waits for its answer continues with PARTNER_LOST; whom it called serves on for
    nobody: its number, or NOBODY.
    """
    page = environment.records[identifier].kernel_page[0]
    roots[identifier] = 0
    runnable[identifier] = 0
    if page.caller < UNKNOWN:
        record = environment.records[page.caller]
        waiting = record.kernel_page[0]
        waiting.callee = NOBODY
        environment.set_context(waiting.context, u64(record.page[0].transfer_return_entry), 0)
        waiting.context.registers.rax = u64(i64(Error.PARTNER_LOST))
    callee = u64(page.callee)
    if callee != NOBODY:
        environment.records[callee].kernel_page[0].caller = UNKNOWN
    return callee
