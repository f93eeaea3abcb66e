# SPDX-License-Identifier: MIT
"""Critical sections: code of the library that no other thread of this environment may interleave with. There is one
processor and the environment itself decides what happens when its slice begins or ends, so nothing is locked: the upcall
that would switch threads looks at `depth`, notes in `interrupted` that it was here, and goes back. Without threads
(`exos.thread`) this is two additions.

A section must be short and must not sleep. Sections nest.
"""

from collections.abc import Callable

from exokernel.metal import Array, compiler_barrier, inline, u64

depth: u64 = 0  # sections that the running thread is in; a thread is only ever taken off the processor at 0
interrupted: u64 = 0  # not 0: another thread's turn has come meanwhile
overdue: u64 = 0  # not 0: it has come while one was in a handler of exceptions, which gives way when it ends


def nobody() -> None:
    """Without threads nobody waits for the end of a section."""


def nothing(registers: u64) -> None:
    """Nor for that of a handler."""


late: Array[Callable[[], None], 1] = Array[Callable[[], None], 1]([nobody])  # gives the processor to the next thread
# The same for a thread that leaves a handler and would go on with the exceptions.Registers at this address.
late_from_handler: Array[Callable[[u64], None], 1] = Array[Callable[[u64], None], 1]([nothing])


@inline
def enter() -> None:
    """Nobody else runs from here on."""
    global depth
    depth += 1
    compiler_barrier()


@inline
def leave() -> None:
    """Ends the section that `enter` began; whose turn has come runs now."""
    global depth
    compiler_barrier()
    depth -= 1
    compiler_barrier()
    if interrupted != 0 and depth == 0:
        late[0]()
