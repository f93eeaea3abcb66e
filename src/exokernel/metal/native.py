# SPDX-License-Identifier: MIT
"""Compiled functions, called on the workstation: what the image would run, under a test's control.

A trap does not end the process: it returns to the caller as `Trap`. Functions that touch hardware cannot run here.
This module must never be part of an image.
"""

from __future__ import annotations

import ctypes
import struct
import types
from typing import Any

from exokernel.metal import kinds, runtime
from exokernel.metal.backend import compile_ir
from exokernel.metal.errors import Trap
from exokernel.metal.kinds import NONE, CallableType, TupleType, Type, llvm, memory_llvm, type_name
from exokernel.metal.program import NATIVE, Function, Program
from exokernel.metal.types import content_of

SLOT = 16
"""Bytes of one argument or result where the caller and the compiled function meet."""

GUARD = """
.intel_syntax noprefix
.globl metal_guard
metal_guard:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    mov qword ptr [rip + metal_stack], rsp
    mov rax, rdi
    mov rdi, rsi
    mov rsi, rdx
    call rax
    mov eax, -1
metal_return:
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
.globl metal_trap
metal_trap:
    mov eax, edi
    mov rsp, qword ptr [rip + metal_stack]
    jmp metal_return
.data
.balign 8
metal_stack: .quad 0
.text
.att_syntax
"""


class NativeModule:
    """The compiled functions as attributes. `output` holds what the latest call printed."""

    def __init__(self, traps: list[tuple[str, str, int]], functions: list[Function], object_file: bytes) -> None:
        import llvmlite.binding as llvm_binding

        llvm_binding.initialize_native_target()
        llvm_binding.initialize_native_asmprinter()
        module = llvm_binding.parse_assembly("")
        machine = llvm_binding.Target.from_default_triple().create_target_machine(jit=True)
        self._engine = llvm_binding.create_mcjit_compiler(module, machine)
        self._engine.add_object_file(llvm_binding.ObjectFileRef.from_data(object_file))
        self._engine.finalize_object()
        self._traps = traps
        self._guard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
            self._engine.get_function_address("metal_guard")
        )
        self._length = ctypes.c_uint64.from_address(self._engine.get_function_address("metal_output_length"))
        self._bytes = self._engine.get_function_address("metal_output_bytes")
        self.output = b""
        for index, function in enumerate(functions):
            address = self._engine.get_function_address(f"call.{index}")
            setattr(self, function.name.rsplit(".", 1)[-1], NativeFunction(self, function, address))

    def address(self, symbol: str) -> int:
        """Of a symbol of the assembly that was added; 0 if there is none."""
        return int(self._engine.get_function_address(symbol))

    def call(self, address: int, arguments: Any, result: Any) -> None:
        """What `call.N` is the symbol of, the N-th function, with its arguments and results in slots of memory."""
        self._length.value = 0
        site = self._guard(address, ctypes.addressof(arguments), ctypes.addressof(result))
        self.output = ctypes.string_at(self._bytes, self._length.value)
        if site >= 0:
            raise Trap(*self._traps[site])


class NativeFunction:
    """One compiled function: call it with integers, bools, bytes, and objects of the dialect (copied in and out)."""

    def __init__(self, module: NativeModule, function: Function, address: int) -> None:
        self._module, self._function, self._address = module, function, address
        self._result = (ctypes.c_ubyte * (SLOT * 16))()

    def __call__(self, *arguments: Any) -> Any:
        function = self._function
        if len(arguments) != len(function.parameters):
            raise TypeError(f"{function.name} takes {len(function.parameters)} arguments")
        data = (ctypes.c_ubyte * (SLOT * max(1, len(arguments))))()
        kept: list[tuple[Any, Any]] = []
        for i, ((_, kind), value) in enumerate(zip(function.parameters, arguments, strict=True)):
            packed = self._pack(kind, value, kept)
            ctypes.memmove(ctypes.addressof(data) + i * SLOT, packed, len(packed))
        try:
            self._module.call(self._address, data, self._result)
        finally:
            for value, buffer in kept:
                if kinds.is_reference(type(value)):
                    value._region.write(value._offset, buffer.raw[: type(value).size])
        return self._unpack(function.result, bytes(self._result))

    def _pack(self, kind: Type, value: Any, kept: list[tuple[Any, Any]]) -> bytes:
        if kind is bool:
            return struct.pack("<B", bool(value))
        if kinds.is_integer(kind):
            if not kind.minimum <= value <= kind.maximum:
                raise OverflowError(f"{value} does not fit {type_name(kind)}")
            return int(value).to_bytes(kind.size, "little", signed=kind.signed)
        if kinds.is_bits(kind):
            raw = value if isinstance(value, int) else value.raw
            return int(raw).to_bytes(kind.size, "little")
        if kinds.is_reference(kind):
            buffer = ctypes.create_string_buffer(content_of(value), max(1, kind.size))
            kept.append((value, buffer))
            return struct.pack("<Q", ctypes.addressof(buffer))
        if kinds.is_view(kind):
            if kinds.is_reference(type(value)):  # an array, of any elements
                data = content_of(value)
            else:
                data = value.encode() if isinstance(value, str) else bytes(value)
            buffer = ctypes.create_string_buffer(data, max(1, len(data)))
            kept.append((value, buffer))
            count = len(data) // kinds.size_of(kinds.element_of(kind))
            return struct.pack("<QQ", ctypes.addressof(buffer), count)
        raise TypeError(f"an argument of type {type_name(kind)} cannot be passed from here")

    def _unpack(self, kind: Type, data: bytes) -> Any:
        if kind is NONE:
            return None
        if kind is bool:
            return bool(data[0] & 1)
        if kinds.is_integer(kind):
            return int.from_bytes(data[: kind.size], "little", signed=kind.signed)
        if kinds.is_bits(kind):
            return int.from_bytes(data[: kind.size], "little")
        if isinstance(kind, TupleType):
            return tuple(self._unpack(item, data[i * SLOT :]) for i, item in enumerate(kind.items))
        if kinds.is_text(kind):
            address, length = struct.unpack_from("<QQ", data)
            text = ctypes.string_at(address, length)
            return text if kind is bytes else text.decode()
        if kinds.is_pointer(kind) or isinstance(kind, CallableType):
            return int.from_bytes(data[:8], "little")
        raise TypeError(f"a result of type {type_name(kind)} cannot be returned to here")


def wrapper(index: int, function: Function) -> str:
    """IR that takes the arguments from memory, calls, and leaves the result in memory."""
    lines, values = [f"define dso_local void @call.{index}(ptr %arguments, ptr %result) {{"], []
    for i, (_, kind) in enumerate(function.parameters):
        stored = "ptr" if kinds.is_reference(kind) else memory_llvm(kind)
        lines.append(f"  %p{i} = getelementptr i8, ptr %arguments, i64 {i * SLOT}")
        lines.append(f"  %a{i} = load {stored}, ptr %p{i}")
        if kind is bool:
            lines.append(f"  %b{i} = trunc i8 %a{i} to i1")
        values.append(f"{llvm(kind)} {'zeroext ' if kind is bool else ''}%{'b' if kind is bool else 'a'}{i}")
    result = ("zeroext " if function.result is bool else "") + llvm(function.result)
    call = f'call {result} @"{function.symbol}"({", ".join(values)})'
    if function.result is NONE:
        lines.append(f"  {call}")
    else:
        lines.append(f"  %r = {call}")
        items = function.result.items if isinstance(function.result, TupleType) else None
        for i, kind in enumerate(items or [function.result]):
            part = "%r"
            if items:
                lines.append(f"  %r{i} = extractvalue {llvm(function.result)} %r, {i}")
                part = f"%r{i}"
            spelled = llvm(kind)
            if kind is bool:
                lines.append(f"  %z{i} = zext i1 {part} to i8")
                part, spelled = f"%z{i}", "i8"
            lines.append(f"  %q{i} = getelementptr i8, ptr %result, i64 {i * SLOT}")
            lines.append(f"  store {spelled} {part}, ptr %q{i}")
    return "\n".join([*lines, "  ret void", "}"])


def compile_functions(functions: list[types.FunctionType]) -> NativeModule:
    """Compile functions and all they use; errors are `CompileError`."""
    return NativeModule(*compile_object(functions))


def compile_object(
    functions: list[types.FunctionType], assembly: str = ""
) -> tuple[list[tuple[str, str, int]], list[Function], bytes]:
    """What a NativeModule is made of. `assembly` is added as it is (AT&T syntax); `address` finds its symbols."""
    program = Program(NATIVE, runtime.keep_output)
    entries = [program.instance(f) for f in functions]
    output: Any = runtime.keep_output
    ir = program.compile([*functions, output])
    length, data = (program.variable(vars(runtime), n) for n in ("output_length", "output_bytes"))
    assert length is not None and data is not None
    extra = [f'module asm "{line.strip()}"' for line in (GUARD + assembly).splitlines() if line.strip()]
    extra += [wrapper(i, f) for i, f in enumerate(entries)]
    extra += [
        f'@metal_output_length = dso_local alias i64, ptr @"{length.symbol}"',
        f'@metal_output_bytes = dso_local alias [65536 x i8], ptr @"{data.symbol}"',
    ]
    return program.traps, entries, compile_ir(ir + "\n".join(extra) + "\n", True, "small")
