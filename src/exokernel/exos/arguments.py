# SPDX-License-Identifier: MIT
"""What a process was started with: strings of any bytes, in the part of its environment page that is the application's
own. Who starts it writes them there (`process.spawn`); nothing here may believe that they make sense.
"""

from exokernel.aegis import abi
from exokernel.metal import Array, Ptr, Span, addr, inline, offsetof, sizeof, struct, u8, u32, u64

BYTES = 3072  # of all arguments, with 2 more for each


@struct
class Arguments:
    """Zeroed: none. Fill it by `add`."""

    used: u32  # bytes of `text`
    count: u32
    text: Array[u8, BYTES]  # of each argument its length, 2 bytes, then its bytes

    def add(self, argument: bytes) -> bool:
        """False, and nothing changed, when it does not fit."""
        size = len(argument)
        place = u64(self.used)
        if place > BYTES or size + 2 > BYTES - place:
            return False
        self.text[place] = u8(size)
        self.text[place + 1] = u8(size >> 8)
        if size != 0:
            self.text[place + 2 : place + 2 + size].copy_from(Span[u8](addr(argument[0]), size))
        self.used += u32(size + 2)
        self.count += 1
        return True

    def get(self, number: u64) -> Span[u8]:
        """Argument `number`, from 0 on; empty when there is none. It can be used as `bytes`."""
        place: u64 = 0
        for i in range(number + 1):
            if i >= self.count or place + 2 > BYTES:
                return self.text[:0]
            size = u64(self.text[place]) | u64(self.text[place + 1]) << 8
            if size > BYTES - 2 - place:
                return self.text[:0]
            if i == number:
                return self.text[place + 2 : place + 2 + size]
            place += 2 + size
        return self.text[:0]


@struct
class Beginning:
    """What the application's part of the environment page begins with."""

    number: u32  # of this process in the table of its family; 0: not yet in one
    replaced: u32  # 1: it went on in this environment by `exec`
    arguments: Arguments


ADDRESS = abi.ENVIRONMENT_ADDRESS + offsetof(abi.EnvironmentPage, "application")
assert sizeof(Beginning) <= abi.PAGE_BYTES - offsetof(abi.EnvironmentPage, "application")


@inline
def beginning() -> Beginning:
    """This process's own."""
    return Ptr[Beginning](ADDRESS)[0]


def count() -> u64:
    """How many arguments this process was started with."""
    return u64(beginning().arguments.count)


def get(number: u64) -> Span[u8]:
    """One of them; empty when there is none."""
    return beginning().arguments.get(number)
