# SPDX-License-Identifier: MIT
"""`exo profile`: every instruction counted, by the stack of Python functions that led to it.

The plugin (profile_plugin.c) tells how often each block of instructions was executed on which stack; a stack is the chain of the
places that called. Here these become functions, with what the compiler inlined where the debug information says so.
Counts are exact; what a stack is, is approximate where threads switch in ways of their own (docs/tracing.md).
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from exokernel.host.build import Image
from exokernel.host.profile_plugin import run_counted
from exokernel.host.symbolize import Symbolizer
from exokernel.host.terminal import BOLD, Failure, check_output, paint, say, warn

KERNEL_ROOT, NOT_A_ROOT = 0xFFFFFFFE, 0xFFFFFFFF
KERNEL_SUFFIX = "_[k]"  # how flame graphs tell a kernel's functions
SHOWN = 20

Stacks = Counter[tuple[str, ...]]


class Programs:
    """The functions of an image: the kernel's in the upper half, or else those of the program of a given name."""

    def __init__(self, image: Image) -> None:
        self._kernel = Symbolizer(image.kernel.elf)
        self._elves = {a.name: a.elf for a in image.applications}
        self.functions = cache(self._functions)
        self._symbolizer = cache(lambda name: Symbolizer(self._elves[name]) if name in self._elves else None)

    def _functions(self, name: str, address: int) -> tuple[str, ...]:
        """The functions around an instruction of the environment of that name (the boot: none), the outermost first."""
        if address >> 63 or not name:
            unknown = "generated code" if address >> 63 else "firmware"
            return tuple(f + KERNEL_SUFFIX for f in self._kernel.functions(address) or (unknown,))
        program = self._symbolizer(name)
        found = program.functions(address) if program else ()
        return found or (f"{address:#x}",)


def stacks(text: str, programs: Programs) -> tuple[Stacks, int, int]:
    """Instructions by stack, the environment first; the instructions of the whole run; and how many times a stack, or
    an environment, was too much to be remembered. Raises ValueError for what is not whole.
    """
    names: list[str] = []
    nodes: list[tuple[int, int, int]] = []
    blocks: list[list[int]] = []  # the addresses of the instructions
    counts: list[tuple[int, int, int, int]] = []
    single = {"total": 0, "cut": 0}
    lines = text.split("\n")
    if lines[-2:] != ["end", ""]:
        raise ValueError("the profile is cut short")
    for line in lines[:-2]:
        kind, *words = line.split(" ")
        if kind in single:
            single[kind] = int(words[0])
        elif kind == "name":
            names.append(f"{words[2]} ({words[1]})" if words[2] != "idle" else "idle")
        elif kind == "node":
            nodes.append((int(words[1]), int(words[2]), int(words[3], 16)))
        elif kind == "block":
            address, addresses = int(words[1], 16), []
            for size in words[2]:
                addresses.append(address)
                address += int(size, 16)
            blocks.append(addresses)
        elif kind == "count":
            node, block, done, times = map(int, words)
            counts.append((node, block, done, times))

    @cache
    def chain(node: int) -> tuple[str, tuple[str, ...]]:
        """The name of the environment's program, and the functions up to a node."""
        path, at = [], node
        while nodes[at][1] == NOT_A_ROOT:
            path.append(nodes[at][2])
            at = nodes[at][0]
        root = "kernel" if nodes[at][1] == KERNEL_ROOT else names[nodes[at][1]]
        program = root.rsplit(" ", 1)[0] if nodes[at][1] != KERNEL_ROOT else ""
        return program, (root, *(f for site in reversed(path) for f in programs.functions(program, site)))

    found: Stacks = Counter()
    for node, block, done, times in counts:
        program, callers = chain(node)
        for address in blocks[block][:done]:
            found[*callers, *programs.functions(program, address)] += times
    return found, single["total"], single["cut"]


def folded(found: Stacks) -> Iterator[str]:
    """One line a stack, as flame graph tools read it: `a;b;c count`."""
    for stack, count in sorted(found.items()):
        yield f"{';'.join(f.replace(';', ':') for f in stack)} {count}"


def table(found: Stacks, total: int) -> Iterator[str]:
    """The functions in which most instructions were executed, for a person."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in found.items():
        own[stack[-1]] += count
        for function in set(stack[1:]):
            whole[function] += count
    yield paint(f"{'itself':>14} {'':>6} {'with callees':>14}  function", BOLD)
    for function, count in own.most_common(SHOWN):
        yield f"{count:14,} {count / total:6.1%} {whole[function]:14,}  {function}"


def profile(parsed: argparse.Namespace) -> int:
    """Run the applications and count; the exit status is that of `exo run`."""

    def take(written: Path, image: Image) -> None:
        try:
            found, total, cut = stacks(written.read_text(errors="replace"), Programs(image))
        except ValueError:
            warn("QEMU was ended before it could say what it had counted")
            return
        if cut:
            warn(f"there were too many stacks or environments: {cut} times another one was taken for it")
        text = "".join(f"{line}\n" for line in folded(found))
        if parsed.output == Path("-"):
            print(text, end="", flush=True)
        elif parsed.output:
            try:
                parsed.output.write_text(text)
            except OSError as error:
                raise Failure(f"cannot write {parsed.output}: {error.strerror}") from None
            say(f"{parsed.output}: {total:,} instructions, {len(found):,} stacks")
        for line in table(found, total):
            say(line)

    check_output(parsed.output)
    return run_counted(parsed, take)
