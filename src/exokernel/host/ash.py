# SPDX-License-Identifier: MIT
"""`exo ash`: check and run application-specific handlers on the workstation, with the kernel's inspector and translator.

`check` gives the verdict; `run` executes one program; `batch` thousands a second. What a program does ends with it:
refusals and aborts are answers, not errors of ours.
"""

import argparse
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

from exokernel.host.build import WRONG_PROGRAM
from exokernel.host.terminal import Failure, say

if TYPE_CHECKING:
    from exokernel.host.ash_object import Handler

REFUSED = 1  # exit status: refused or aborted
CHUNK = 1 << 16


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """The command line's part."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    check_parser = verbs.add_parser("check", help="inspect an object's programs as the kernel does")
    check_parser.add_argument("object", type=Path, metavar="FILE.o")
    check_parser.add_argument("--profile", choices=("packet", "memory"), default="packet", help="what r1 is")
    check_parser.set_defaults(verb=check)

    run_parser = verbs.add_parser(
        "run",
        help="run one program; prints r0",
        description="Run one program, by default given in hexadecimal on standard input. Prints r0 in hexadecimal; a "
        "program that is refused or aborted leaves the reason on standard error, and exit status 1.",
    )
    run_parser.add_argument("--object", type=Path, metavar="FILE.o", help="the program: an eBPF object's")
    run_parser.add_argument("--section", metavar="NAME", help="which of the object's programs (default: the first)")
    given = run_parser.add_mutually_exclusive_group()
    given.add_argument("--memory", metavar="HEX", help="r1 is the address of exactly these bytes, r2 their number")
    given.add_argument("--packet", metavar="HEX", help="r1 is the address of XDP's context of this packet")
    run_parser.add_argument(
        "--budget", type=int, metavar="N", help="instructions that it may take (default: a million)"
    )
    run_parser.add_argument("--interpret", action="store_true", help="interpret it instead of translating it")
    run_parser.add_argument("--plugin", action="store_true", help="bpf_conformance's protocol: memory is an argument")
    run_parser.add_argument("plugin_memory", nargs="?", default="", metavar="HEX", help="the memory, with --plugin")
    run_parser.set_defaults(verb=run)

    compile_parser = verbs.add_parser("compile", help="make an eBPF object of a Python file's function `handler`")
    compile_parser.add_argument("source", type=Path, metavar="FILE.py")
    compile_parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.o")
    compile_parser.set_defaults(verb=compile_source)

    batch_parser = verbs.add_parser(
        "batch",
        help="run many programs: JSON lines in, JSON lines out",
        description='Each line of standard input is {"id", "prog": hex, "profile": "memory" or "packet", "mem": hex, '
        '"budget": n}; each line of standard output {"id", "outcome": "returned", "aborted", "refused" or "error", '
        '"r0", "mem", "reason", "pc"}, in the same order.',
    )
    batch_parser.add_argument("--interpret", action="store_true", help="interpret instead of translating")
    batch_parser.set_defaults(verb=batch)


def check(parsed: argparse.Namespace) -> int:
    """`exo ash check`: one line and a bound, or a reason, for each program. 1 if one is refused."""
    from dataclasses import replace

    from exokernel.aegis.ebpf import KERNEL_LIMIT, Reason
    from exokernel.host.ash_machine import DEFAULT_BUDGET, HandlerMachine
    from exokernel.host.ash_object import programs
    from exokernel.host.ash_worker import PROFILES

    handlers = programs(parsed.object)
    machine = HandlerMachine()
    status = 0
    for handler in handlers:
        found = machine.inspect(handler.program, PROFILES[parsed.profile])
        if not found.reason and len(handler.program) // 8 > KERNEL_LIMIT:
            found = replace(found, reason=Reason.LONG_FOR_KERNEL, place=KERNEL_LIMIT)
        print(f"{handler.name}: {len(handler.program) // 8} instructions: ", end="")
        if found.reason:
            status = REFUSED
            raw = handler.program[8 * found.place : 8 * found.place + 8].hex(" ")
            print(f"refused\n  instruction {found.place} ({raw}): {handler.why(found.place, found.text)}")
            continue
        size = len(machine.machine_code(handler.program, PROFILES[parsed.profile]))
        bound = f"it loops, so its budget is the bound ({DEFAULT_BUDGET} if it declares none)"
        print("accepted")
        print(f"  worst case: {bound if found.loops else f'{found.cost} instructions'}")
        print(f"  machine code: {size} bytes")
    return status


def handler_of(source: Path) -> types.FunctionType:
    """The function `handler` of a Python file, which is imported."""
    if not source.is_file():
        raise Failure(f"cannot read {source}")
    sys.dont_write_bytecode = True  # as for applications: nothing appears beside the user's files
    sys.path.insert(0, str(source.resolve().parent))
    specification = importlib.util.spec_from_file_location(f"handler_{source.stem}", source.resolve())
    if specification is None or specification.loader is None:
        raise Failure(f"{source} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise Failure(f"{type(error).__name__} while {source} was imported: {error}") from None
    function = getattr(module, "handler", None)
    if not isinstance(function, types.FunctionType):
        raise Failure(
            f"{source} has no function `handler`", "a handler begins at `def handler(context: Context) -> u32:`"
        )
    return function


def compile_source(parsed: argparse.Namespace) -> int:
    """`exo ash compile`."""
    from exokernel.host.terminal import colored
    from exokernel.metal.errors import CompileError
    from exokernel.metal.handler import compile_handler

    try:
        data = compile_handler(handler_of(parsed.source))
    except CompileError as error:
        say(error.render(colored()))
        return WRONG_PROGRAM
    try:
        parsed.output.write_bytes(data)
    except OSError as error:
        raise Failure(f"cannot write {parsed.output}: {error.strerror}") from None
    return 0


def run(parsed: argparse.Namespace) -> int:
    """`exo ash run`."""
    from exokernel.host.ash_machine import DEFAULT_BUDGET
    from exokernel.host.ash_object import Handler
    from exokernel.host.ash_worker import Pool

    if parsed.plugin_memory and not parsed.plugin:
        raise Failure("memory is an argument only with --plugin", "use --memory HEX")
    if parsed.section and not parsed.object:
        raise Failure("--section chooses in an object", "add --object FILE.o")
    if parsed.plugin_memory and (parsed.memory is not None or parsed.packet is not None):
        raise Failure("the memory is given twice", "with --plugin it is an argument; leave out --memory and --packet")
    handler = _object_program(parsed) if parsed.object else Handler("", _bytes(sys.stdin.read(), "the program"))
    packet = parsed.packet is not None
    text = parsed.packet if packet else (parsed.memory or parsed.plugin_memory)
    request = {
        "prog": handler.program.hex(),
        "profile": "packet" if packet else "memory",
        "mem": _bytes(text, "the packet" if packet else "the memory").hex(),
        "budget": DEFAULT_BUDGET if parsed.budget is None else parsed.budget,
    }
    with Pool(parsed.interpret, workers=1) as pool:
        answer = pool.run([json.dumps(request).encode()])[0]
    if answer["outcome"] == "returned":
        print(answer["r0"].removeprefix("0x") if parsed.plugin else answer["r0"])
        return 0
    if answer["outcome"] == "error":
        raise Failure(answer["reason"])
    say(f"{answer['outcome']} at instruction {answer['pc']}: {handler.why(answer['pc'], answer['reason'])}")
    return REFUSED


def _object_program(parsed: argparse.Namespace) -> "Handler":
    from exokernel.host.ash_object import programs

    handlers = programs(parsed.object)
    for handler in handlers:
        if parsed.section in (None, handler.name):
            return handler
    raise Failure(f"there is no program {parsed.section}", f"there are: {', '.join(h.name for h in handlers)}")


def _bytes(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Failure(f"{what} is not hexadecimal", "two digits a byte, spaces between bytes if you like") from None


def batch(parsed: argparse.Namespace) -> int:
    """`exo ash batch`: what is there is answered before more is read, so it can be talked to."""
    from exokernel.host.ash_worker import Pool

    rest = b""
    with Pool(parsed.interpret) as pool:
        while True:
            data = os.read(0, CHUNK)
            *lines, rest = (rest + data).split(b"\n")
            if not data and rest:
                lines, rest = [*lines, rest], b""
            answers = pool.run([line for line in lines if line.strip()])
            sys.stdout.write("".join(json.dumps(answer) + "\n" for answer in answers))
            sys.stdout.flush()
            if not data:
                return 0
