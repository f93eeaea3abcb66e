# SPDX-License-Identifier: MIT
"""What loading a handler costs in the kernel, where nothing else runs meanwhile, in ticks of the timestamp counter: the
counter of examples/echo_ash.py, and programs as long as a kernel takes them that cost much. Those are made so that what is
known of the registers changes round after round behind each of a thousand branches (`rounds`), and of the instructions
whose translation is longest (`long`). They may be refused.
"""

import importlib.util
from pathlib import Path
from typing import Final

from exokernel.aegis.abi import Error
from exokernel.aegis.ebpf import KERNEL_LIMIT
from exokernel.aegis.handler_abi import HANDLER_BUDGET, HandlerRequest
from exokernel.exos import ash
from exokernel.host.ash_generator import instruction
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Ptr, Span, i64, u8, u64

EXIT = instruction(0x95)


def rounds(count: int) -> bytes:
    """A loop through whose end the registers move on by one, each turn."""
    begin = instruction(0x61, 0, 1) + b"".join(instruction(0xBF, register, 0) for register in range(1, 10))
    end = b"".join(instruction(0xBF, register, register - 1) for register in range(9, 0, -1))
    end += instruction(0xB7, 0, immediate=1)
    branches = count - len(begin + end) // 8 - 2
    end += instruction(0x15, 0, 0, -(branches + len(end) // 8 + 1), 7)
    return begin + instruction(0x15, 0) * branches + end + EXIT


def long(count: int) -> bytes:
    """Atomic operations that give the old value."""
    begin = instruction(0x61, 3, 1) + instruction(0xB7, 0) + instruction(0xBF, 4, 3)
    return begin + (instruction(0xDB, 3, 0, 64, 0x41)) * (count - len(begin) // 8 - 1) + EXIT


def example() -> ash.Program:
    path = Path(__file__).parents[2] / "examples/echo_ash.py"
    specification = importlib.util.spec_from_file_location("echo_ash", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    program: ash.Program = module.HANDLER
    return program


COUNTER: Final[ash.Program] = example()
ROUNDS: Final[ash.Program] = ash.program(rounds(KERNEL_LIMIT), budget=HANDLER_BUDGET)
LONG: Final[ash.Program] = ash.program(long(KERNEL_LIMIT), budget=HANDLER_BUDGET)


def load(name: str, program: ash.Program) -> None:
    """All of it, with the claiming of its frames, which is little; and the longest of its calls."""
    request = HandlerRequest()
    before = read_timestamp()
    answer = ash.begin(program, Span[u8](Ptr[u8](0), 0), request)
    assert answer >= 0
    longest: u64 = 0
    more: i64 = 1
    while more == 1:
        began = read_timestamp()
        more = ash.handler_continue(u64(answer))
        longest = max(longest, read_timestamp() - began)
    ash.release_spare(request)
    ticks = read_timestamp() - before
    assert more == 0 or more == Error.REFUSED
    print("kernel-load", name, ticks)
    print("kernel-load-longest-piece", name, longest)


def main() -> None:
    load("counter", COUNTER)
    load("rounds", ROUNDS)
    load("long", LONG)
