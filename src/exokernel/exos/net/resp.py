# SPDX-License-Identifier: MIT
"""The Redis serialization protocol (RESP 2) for a server: a command is parsed where it lies, as an array of strings or
as words on a line. Pure.
"""

from exokernel.metal import Array, Span, struct, u8, u32, u64

WORDS = 32
LARGEST_LINE = 1024  # of words on a line
LARGEST_WORD = 4096

INCOMPLETE = 0
OK = 1
MALFORMED = 2  # nothing more can be understood on that connection
TOO_LARGE = 3

CR, LF, SPACE, STAR, DOLLAR = 13, 10, 32, 42, 36


@struct
class Command:
    """Where its words are in the bytes that were parsed."""

    count: u32
    length: u32  # of the whole command
    start: Array[u32, WORDS]
    end: Array[u32, WORDS]

    def word(self, data: Span[u8], i: u64) -> Span[u8]:
        return data[u64(self.start[i]) : u64(self.end[i])]


def read_number(data: Span[u8], at: u64) -> tuple[u64, u64, u8]:
    """A number and the end of its line, from `at` on: the number, the place behind, and INCOMPLETE, OK or MALFORMED."""
    number: u64 = 0
    i = at
    while i < len(data) and data[i] >= 48 and data[i] <= 57:
        number = number * 10 + (data[i] - 48)
        i += 1
        if i - at > 9:
            return 0, i, u8(MALFORMED)
    if i + 2 > len(data):
        bad = i < len(data) and data[i] != CR
        return 0, i, u8(MALFORMED) if bad else u8(INCOMPLETE)
    if i == at or data[i] != CR or data[i + 1] != LF:
        return 0, i, u8(MALFORMED)
    return number, i + 2, u8(OK)


def parse(data: Span[u8], command: Command) -> u8:
    """Parse the command at the beginning of `data`: OK, and `command` is filled; INCOMPLETE, MALFORMED or TOO_LARGE."""
    if len(data) == 0:
        return INCOMPLETE
    if data[0] != STAR:
        return parse_line(data, command)
    count, i, result = read_number(data, 1)
    if result != OK:
        return result
    if count > WORDS:
        return TOO_LARGE
    for word in range(count):
        if i >= len(data):
            return INCOMPLETE
        if data[i] != DOLLAR:
            return MALFORMED
        length, start, found = read_number(data, i + 1)
        if found != OK:
            return found
        if length > LARGEST_WORD:
            return TOO_LARGE
        i = start + length
        if i + 2 > len(data):
            return INCOMPLETE
        if data[i] != CR or data[i + 1] != LF:
            return MALFORMED
        command.start[word] = u32(start)
        command.end[word] = u32(i)
        i += 2
    command.count = u32(count)
    command.length = u32(i)
    return OK


def parse_line(data: Span[u8], command: Command) -> u8:
    """Words on a line, as a person types them."""
    command.count = 0
    i: u64 = 0
    while True:
        while i < len(data) and data[i] == SPACE:
            i += 1
        start = i
        while i < len(data) and data[i] > SPACE:
            i += 1
        if i == len(data):
            return INCOMPLETE if i < LARGEST_LINE else u8(TOO_LARGE)
        if i > start:
            if command.count == WORDS:
                return TOO_LARGE
            command.start[command.count] = u32(start)
            command.end[command.count] = u32(i)
            command.count += 1
        if data[i] == LF or (data[i] == CR and i + 1 < len(data) and data[i + 1] == LF):
            command.length = u32(i + 1 if data[i] == LF else i + 2)
            return OK
        if data[i] == CR and i + 1 == len(data):
            return INCOMPLETE
        if data[i] != SPACE:
            return MALFORMED
