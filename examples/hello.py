# SPDX-License-Identifier: MIT
"""The smallest application: it prints and ends, and the machine with it.

    ./exo run examples/hello.py

What `main` returns is the exit status of ./exo; try `-> int`-like `-> i32` with `return 3`, and `echo $?` afterwards.
"""

from exokernel.aegis import abi


def main() -> None:
    environment = abi.environment_page()
    system = abi.system_page()
    print("Hello from environment", environment.identifier)
    print(f"This machine has {system.frames * abi.PAGE_BYTES >> 20} MiB of memory, {system.frames_free} frames free.")
