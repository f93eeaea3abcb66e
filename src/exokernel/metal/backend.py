# SPDX-License-Identifier: MIT
"""LLVM: IR text in, object file out.

LLVM ends the whole process on a mistake in assembly text, so it always runs in a process of its own: either the caller
already is one (`emit_object`), or this module is run as a program (`compile_ir`). It must never change a meaning.
"""

from __future__ import annotations

import os
import subprocess
import sys

from exokernel.metal.errors import CompileError, Diagnostic


def emit_object(ir: str, native: bool, code_model: str) -> bytes:
    """Optimise and assemble one module. LLVM may end this process on bad assembly text."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    module = llvm.parse_assembly(ir)
    module.verify()
    triple = llvm.get_default_triple() if native else "x86_64-unknown-none-elf"
    if code_model == "handler":
        # v3 is what RFC 9669 has but for v4's signed divisions and moves; unaligned access is what an x86 can do.
        machine = llvm.Target.from_triple("bpfel-unknown-none").create_target_machine(
            cpu="v3", features="+allows-misaligned-mem-access", opt=2, reloc="static"
        )
    else:
        machine = llvm.Target.from_triple(triple).create_target_machine(
            cpu="x86-64", opt=2, reloc="pic" if native else "static", codemodel="small" if native else code_model
        )
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # Without vector registers there is nothing to vectorise for.
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def compile_ir(ir: str, native: bool, code_model: str) -> bytes:
    """The same in a child process; what LLVM says about bad assembly becomes a `CompileError`."""
    command = [sys.executable, "-m", "exokernel.metal.backend", "native" if native else code_model]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    result = subprocess.run(command, input=ir.encode(), capture_output=True, check=False, env=environment)
    if result.returncode != 0:
        raise CompileError(llvm_diagnostic(result.stderr.decode(errors="replace")))
    return result.stdout


def llvm_diagnostic(complaint: str) -> Diagnostic:
    """LLVM's complaint, the first line that says something."""
    lines = [line for line in complaint.splitlines() if "error:" in line] or complaint.splitlines()[-1:]
    text = lines[0].split("error:")[-1].strip() if lines else "no message"
    return Diagnostic(
        f"LLVM refuses the program: {text}",
        "<llvm>",
        1,
        0,
        1,
        hint="look at the texts and constraints of asm(...)\n" + complaint[-2000:],
    )


if __name__ == "__main__":
    mode = sys.argv[1]
    sys.stdout.buffer.write(emit_object(sys.stdin.read(), mode == "native", mode if mode != "native" else "small"))
