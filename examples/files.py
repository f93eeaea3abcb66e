# SPDX-License-Identifier: MIT
"""A file that goes with the application: here its own source, printed by the machine that it became.

    ./exo run examples/files.py

What FILES lists, relative to this file, is packed into the image. The guest finds it by that name and reads it where it
lies; nothing is copied, and every environment maps the same memory.
"""

from exokernel.exos import files
from exokernel.metal import u64

FILES = ["files.py"]


def main() -> bool:
    number = files.find(b"files.py")
    if number < 0:
        return True
    text, error = files.view(u64(number))
    print(text, end="")
    return error != 0
