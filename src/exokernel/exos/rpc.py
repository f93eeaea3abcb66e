# SPDX-License-Identifier: MIT
"""Remote procedure calls: the methods of a class, called in another address space by protected control transfer, with
arguments and result in registers (SOSP 1995, 6.1: lrpc and tlrpc).

Both sides import one class of annotated methods, an `interface`: a client makes an object of it from a server (as of
`shared.partner`) and calls its methods; the server gives a function for each (`implement`) and serves. The stubs are
written here while the image is built. A method has up to ARGUMENTS integers, and its annotation says what the client
gets: `tuple[u64, i64]`, a result and an error; the result means something only where the error is not negative. The
function behind a method gets the caller's number, which is the kernel's word, before the arguments. It runs on the
stack and under the rules of `transfer`, and whatever the arguments are, a hostile client may have chosen them.

How much the two trust each other is said by the interface. PRIVATE: the client saves what it needs, and no register of
one side's reaches the other but arguments and result. LRPC: the client saves the callee-saved registers; what else is
in registers both may see. TLRPC: the stub is inlined and saves nothing; the compiler keeps what is alive, since a
server that dies leaves no register as it was. A function that serves must not call through a TLRPC interface.
"""

import inspect
import linecache
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from exokernel.aegis.abi import Call  # noqa: F401  (in assembly)
from exokernel.exos import aegis, shared, transfer
from exokernel.metal import asm, bits, i8, i16, i32, i64, inline, naked, u8, u16, u32, u64  # noqa: F401  (in stubs)
from exokernel.metal.errors import CompileError, Diagnostic
from exokernel.metal.language import from_text
from exokernel.metal.types import INTEGERS

C = TypeVar("C")

PRIVATE, LRPC, TLRPC = range(3)
ARGUMENTS = 6
METHODS = 256  # of all interfaces of one server; number 0 is the messages of `transfer`

# The errors of servers, beside the kernel's. Their lowest seven bits are set, so that one `or` puts them together with
# the number of the server, as it does the kernel's with the method.
NO_METHOD = transfer.NO_METHOD  # there is no function for this method
STRANGER = -257  # another environment has the server's number by now

# Where things travel: the server in `rdi`, the method in the second byte of `rbx`, which comes back unless there is an
# error. `rax`, `rcx` and `r11` are the kernel's.
WIRE = ("rsi", "rdx", "r12", "r8", "r9", "r13")
LEAKS_OUT = ("rsi", "rdx", "r8", "r9", "r10", "rbp", "r12", "r13", "r14", "r15")
LEAKS_BACK = ("rdx", "rdi", "r8", "r9", "r10")
# It begins with `mov dword ptr [RETURN_ENTRY], offset 2f`, which LLVM's assembler does not know for such a label.
CALL = """
    .byte 0xC7, 0x04, 0x25
    .long {aegis.RETURN_ENTRY}, 2f
    mov qword ptr [{aegis.TRANSFER_STACK}], rsp
    mov eax, {Call.TRANSFER}
    syscall
2:
    mov rsp, qword ptr [{aegis.TRANSFER_STACK}]
"""

identity: u64 = 0  # this environment as a partner: what calls must be meant for
served: dict[int, tuple[Any, int, list[Any]]] = {}  # function, trust and arguments of each method


# ---- what is generated


def interface(first: int, trust: int = PRIVATE) -> Callable[[type[C]], type[C]]:
    """Make a class of methods, whose bodies are `...`, an interface. They have the numbers from `first` (1 to
    METHODS - 1) on: a server's interfaces must not overlap.
    """

    def make(body: type[C]) -> type[C]:
        methods = [member for member in vars(body).values() if isinstance(member, types.FunctionType)]
        if first < 1 or first + len(methods) > METHODS:
            _fail(body, f"the methods of `{body.__name__}` have numbers from 1 to {METHODS - 1}")
        stubs = {m.__name__: _stub(m, n, trust, *_signature(m)) for n, m in enumerate(methods, first)}
        names = {"__doc__": body.__doc__, "__module__": body.__module__, **stubs}
        made: Any = bits(u64)(type(body.__name__, (), names))
        made.rpc = first, trust, methods
        return typing.cast("type[C]", made)

    return make


def implement(declared: Any, *functions: Any) -> None:
    """Serve an interface: a function for each of its methods, in their order. At module level."""
    first, trust, methods = declared.rpc
    if len(functions) != len(methods):
        _fail(functions[-1] if functions else declared, f"`{declared.__name__}` has {len(methods)} methods")
    for number, (function, method) in enumerate(zip(functions, methods, strict=True), first):
        arguments, result = _signature(method)
        hints = typing.get_type_hints(function)
        wanted = [u64, *arguments, result]
        if [hints.get(name) for name in [*inspect.signature(function).parameters, "return"]] != wanted:
            spelled = ", ".join(kind.__name__ for kind in wanted[:-1])
            _fail(function, f"for `{method.__qualname__}` this must take ({spelled}) and return {result.__name__}")
        if number in served:
            _fail(function, f"method number {number} is served already")
        served[number] = function, trust, arguments
    globals()["enter"] = _server()


def _signature(method: Any) -> tuple[list[Any], Any]:
    """The types of a method's arguments, and of its result."""
    hints = typing.get_type_hints(method)
    parts = typing.get_args(hints.get("return"))
    kinds = [hints.get(name) for name in list(inspect.signature(method).parameters)[1:]]
    known = [*INTEGERS.values(), bool]
    if len(kinds) > ARGUMENTS or any(kind not in known for kind in kinds):
        _fail(method, f"`{method.__name__}` may have up to {ARGUMENTS} arguments, each an integer or a bool")
    if len(parts) != 2 or parts[0] not in known or parts[1] is not i64:
        _fail(method, f"`{method.__name__}` must return an integer or a bool, and the error: `tuple[u64, i64]`")
    return kinds, parts[0]


def _fail(thing: Any, message: str) -> typing.NoReturn:
    file, line = str(inspect.getsourcefile(thing)), inspect.getsourcelines(thing)[1]
    raise CompileError(Diagnostic(message, file, line, 0, len(linecache.getline(file, line).rstrip())))


def _naked(heading: str, lines: list[str]) -> str:
    body = "\n".join(f"        {line.strip()}" for line in lines)
    return f'@naked\n{heading}\n    asm("""\n{body}\n    """)\n'


def _stub(method: Any, number: int, trust: int, arguments: list[Any], result: Any) -> Any:
    """The client's side of a method."""
    name, count = method.__name__, len(arguments)
    names = [f"p{i}" for i in range(count)]
    parameters = "".join(f", {n}: {k.__name__}" for n, k in zip(names, arguments, strict=True))
    heading = f"def {name}(self{parameters}) -> tuple[{result.__name__}, i64]:"
    if trust == TLRPC:
        inputs = ",".join(f"{{{register}}}" for register in ("rdi", "rbx", *WIRE[:count]))
        all_registers = ",".join(f"~{{{r}}}" for r in (*aegis.PRESERVED, *LEAKS_BACK, "rcx", "r11", "memory", "flags"))
        values = "".join(f", u64({n})" for n in names)
        value = "value & 1 != 0" if result is bool else f"{result.__name__}(value)"
        text = f"""@inline
{heading}
    error, value = asm({CALL + "or rax, rbx"!r}, "={{rax}},={{rsi}},{inputs},{all_registers}",
        self.raw, u64({number << 8}){values}, returns=tuple[i64, u64])
    return {value}, error
"""
    else:
        moves = ["mov r12, rcx"][: count > 2] + ["mov r13, qword ptr [rsp + 72]"][: count > 5]
        used = WIRE[:count]
        clear = [f"xor {_low(r)}, {_low(r)}" for r in LEAKS_OUT if trust == PRIVATE and r not in used]
        lines = ["{aegis.PUSH_PRESERVED}", "{aegis.PUSH_ENTRY}", *moves, *clear, f"mov ebx, {number << 8}", CALL]
        lines += ["or rax, rbx", "mov rdx, rax", "mov rax, rsi", "{aegis.POP_ENTRY}", "{aegis.POP_PRESERVED}", "ret"]
        text = _naked(heading, lines)
    return from_text(text, method.__qualname__, globals())


def _low(register: str) -> str:
    """The lower half of a 64-bit register."""
    return register + "d" if register[1:].isdigit() else "e" + register[1:]


def _server() -> Any:
    """The entry of a server: finds the function by the method's number, which the table bounds."""
    table, parts = ["{transfer.enter}"] + ["4b"] * (METHODS - 1), []
    for number, (function, trust, arguments) in served.items():
        name = f"_function_{number}"
        globals()[name] = function
        moves = [f"and {_low(WIRE[i])}, 1" for i, kind in enumerate(arguments) if kind is bool]
        moves += ["mov rcx, r12"][: len(arguments) > 2]
        clear = [f"xor {_low(r)}, {_low(r)}" for r in LEAKS_BACK if trust == PRIVATE]
        table[number] = f"{{{name}}}"
        if len(arguments) > 5:
            parts += [f"{100 + number}:", *moves, "push r13", f"call {{{name}}}", "pop rcx", *clear, "ret"]
        elif clear:
            parts += [f"{100 + number}:", *moves, "sub rsp, 8", f"call {{{name}}}", "add rsp, 8", *clear, "ret"]
        elif moves:
            parts += [f"{100 + number}:", *moves, f"jmp {{{name}}}"]
        else:
            continue
        table[number] = f"{100 + number}f"
    lines = """
        cmp rdi, qword ptr [{identity}]
        jne 3f
        mov esp, offset {transfer.stack} + {transfer.STACK_BYTES}
        movzx ecx, bh
        mov edi, eax
        call qword ptr [rcx*8 + rpc_table]
        mov rsi, rax
    2:
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    3:
        test ebx, ebx
        jz {transfer.enter}
        mov rbx, {STRANGER}
        jmp 2b
    4:
        mov rbx, {NO_METHOD}
        jmp 2b
        .balign 8
    rpc_table:
    """.strip().splitlines()
    text = _naked("def enter() -> None:", [*lines, *(f".quad {entry}" for entry in table), *parts])
    return from_text(text, "enter", globals())


# ---- being served


@naked
def enter() -> None:
    """Replaced by `implement`."""
    asm("ud2")


def serve() -> None:
    """From now on the functions given to `implement` answer calls. Messages of `transfer` are answered as before."""
    global identity
    page = aegis.environment_page()
    identity = shared.partner(page.identifier)
    page.transfer_entry = u32(u64(enter))
