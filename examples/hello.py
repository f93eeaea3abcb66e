# SPDX-License-Identifier: MIT
"""The smallest application: it prints and ends, and the machine with it.

    ./exo run examples/hello.py

The exit status of ./exo is what `main` returns: nothing is 0. To see another, write `def main() -> i32` with i32 from
exokernel.metal, `return 3`, and type `echo $?` afterwards.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis


def main() -> None:
    environment = aegis.environment_page()
    system = aegis.system_page()
    print("Hello from environment", environment.identifier)
    print(f"This machine has {system.frames * abi.PAGE_BYTES >> 20} MiB of memory, {system.frames_free} frames free.")
