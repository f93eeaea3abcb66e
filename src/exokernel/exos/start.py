# SPDX-License-Identifier: MIT
"""Where every application begins. The kernel enters `start` with an empty stack; here the application's `main` is
called and its result becomes the environment's exit status. The builder puts `main` in place of `application_main` and
compiles from ENTRY; `print` goes to OUTPUT.
"""

from exokernel.exos import aegis, console
from exokernel.metal import asm, i64, naked, noreturn


def application_main() -> None:
    """Replaced by the application's `main`, which returns nothing, an integer or a bool."""


GIVES_STATUS = False  # whether it returns something: the builder says so


@naked
def start() -> None:
    """The first instructions: no caller (so that backtraces end here), an aligned stack."""
    asm("""
        xor ebp, ebp
        and rsp, -16
        call {begin}
        ud2
    """)


@noreturn
def begin() -> None:
    """Run the application and end with its status: what `main` returned as a number, 0 if it returns nothing."""
    status: i64 = 0
    if GIVES_STATUS:
        status = i64(application_main())
    else:
        application_main()
    end(status)


@noreturn
def end(status: i64) -> None:
    """End this environment at once. What was printed so far is written."""
    console.flush()
    aegis.exit(status)


ENTRY = start
OUTPUT = console.write
