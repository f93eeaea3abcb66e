# SPDX-License-Identifier: MIT
"""The serial port, shared by all: bounded writes, each whole. Who may write, and in which order, is for libraries to
settle.
"""

from exokernel.aegis.abi import CONSOLE_WRITE_LIMIT, Error
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import serial
from exokernel.metal import Array, i64, u8, u64

buffer: Array[u8, CONSOLE_WRITE_LIMIT] = Array[u8, CONSOLE_WRITE_LIMIT]()


def write(address: u64, length: u64, third: u64, fourth: u64) -> i64:
    """The call `console_write`."""
    if length > CONSOLE_WRITE_LIMIT:
        return Error.BAD_ARGUMENT
    text = buffer[:length]
    if not copy_in(text, UserAddress(address)):
        return Error.BAD_ADDRESS
    serial.write_console(text)
    return i64(length)
