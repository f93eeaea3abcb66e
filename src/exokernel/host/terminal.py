# SPDX-License-Identifier: MIT
"""What the tools say to a person: on stderr, readable without colour, nothing moving unless it is a terminal.

Red is an error, yellow a warning, green success, cyan what may be typed. Standard output belongs to the guest's console
and to data; nothing here may write to it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RED, GREEN, YELLOW, CYAN, BOLD, DIM = 31, 32, 33, 36, 1, 2


class Failure(Exception):
    """The user's request cannot be carried out. Shown as one error, with a `hint` when something can be done."""

    def __init__(self, message: str, hint: str = "", status: int = 2) -> None:
        super().__init__(message)
        self.message, self.hint, self.status = message, hint, status

    def render(self, color: bool = False) -> str:
        """The error as it is printed."""
        text = f"{paint('error', RED, BOLD, color=color)}: {self.message}"
        return text + (f"\n{paint('hint', CYAN, color=color)}: {self.hint}" if self.hint else "")


def colored() -> bool:
    """Whether stderr takes colour (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *codes: int, color: bool | None = None) -> str:
    """`text` in the given colours, or as it is where there is no colour."""
    if not (colored() if color is None else color):
        return text
    return f"\033[{';'.join(map(str, codes))}m{text}\033[0m"


def say(text: str) -> None:
    """One message for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """One warning."""
    say(f"{paint('warning', YELLOW, BOLD)}: {text}")


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Shows `text` while something takes its time, and takes it away afterwards. Silent unless stderr is a terminal."""
    shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if shown:
        print(paint(text, DIM), end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print("\033[K", end="", file=sys.stderr, flush=True)


def check_output(path: Path | None) -> None:
    """Raises `Failure` if what takes long to find out could not be written there in the end."""
    if path is None or path == Path("-"):
        return
    try:
        there = path.exists()
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None
