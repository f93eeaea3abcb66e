# SPDX-License-Identifier: MIT
"""The linker against other readers of ELF (readelf, pyelftools, gdb) and against a machine that boots its output."""

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from exokernel.metal.linker import (
    PF_R,
    PF_W,
    PF_X,
    Layout,
    LinkError,
    entry_point,
    link,
    segments,
    symbols,
)

KERNEL = Layout(base=0xFFFFFFFF80200000, entry="entry", physical_offset=0xFFFFFFFF80000000)
APPLICATION = Layout(base=0x400000, entry="entry")

# LLVM ends the process on bad assembly, so it runs in a child, as the compiler itself does it.
ASSEMBLE = """
import sys
import llvmlite.binding as llvm
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
llvm.initialize_native_asmparser()
machine = llvm.Target.from_triple("x86_64-unknown-none-elf").create_target_machine(
    cpu="x86-64", reloc="static", codemodel=sys.argv[1])
module = llvm.parse_assembly(sys.stdin.read())
module.triple = "x86_64-unknown-none-elf"
module.verify()
sys.stdout.buffer.write(machine.emit_object(module))
"""

HEADER = 'target triple = "x86_64-unknown-none-elf"\n'

PROGRAM = (
    HEADER
    + """
@table = dso_local constant [2 x ptr] [ptr @entry, ptr @counter], align 64
@counter = dso_local global i64 7, align 8
@space = dso_local global [5000 x i8] zeroinitializer, align 4096
@__image_end = external dso_local global i8
@__text_start = external dso_local global i8

define dso_local i64 @entry() nounwind noredzone !dbg !4 {
  %a = load volatile i64, ptr @counter, !dbg !7
  %b = load volatile ptr, ptr @table, !dbg !7
  %c = ptrtoint ptr @__image_end to i64, !dbg !8
  %d = call i64 @helper(i64 %c), !dbg !8
  store volatile i8 1, ptr @space, !dbg !8
  ret i64 %d, !dbg !8
}

define internal i64 @helper(i64 %x) noinline nounwind noredzone {
  %s = ptrtoint ptr @__text_start to i64
  %r = sub i64 %x, %s
  ret i64 %r
}

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C99, file: !1, emissionKind: FullDebug)
!1 = !DIFile(filename: "program.py", directory: "/somewhere")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !{i32 7, !"Dwarf Version", i32 5}
!4 = distinct !DISubprogram(name: "entry", file: !1, line: 10, scopeLine: 10, type: !5, unit: !0, spFlags: 8)
!5 = !DISubroutineType(types: !6)
!6 = !{null}
!7 = !DILocation(line: 11, scope: !4)
!8 = !DILocation(line: 12, scope: !4)
"""
)

# A kernel as small as it can be: PVH entry in 32-bit mode (the boot area), which turns on paging with static tables,
# jumps to the top 2 GiB, sums a table with absolute addresses and leaves through QEMU's debug-exit port.
BOOTABLE = HEADER + (
    """
module asm ".section .note.pvh, \\22a\\22, @note"
module asm ".long 4, 8, 18"
module asm ".asciz \\22Xen\\22"
module asm ".quad boot_entry"
module asm ".section .boot.text, \\22ax\\22"
module asm ".code32"
module asm ".globl boot_entry"
module asm "boot_entry: movl $boot_top, %eax; movl %eax, %cr3; movl $0xa0, %eax; movl %eax, %cr4"
module asm "movl $0xc0000080, %ecx; movl $0x900, %eax; xorl %edx, %edx; wrmsr"
module asm "movl $0x80000001, %eax; movl %eax, %cr0; lgdt boot_gdt_pointer; ljmp $8, $boot_long"
module asm ".code64"
module asm "boot_long: movq $entry, %rax; jmp *%rax"
module asm ".section .boot.rodata, \\22a\\22"
module asm ".p2align 3"
module asm "boot_gdt: .quad 0, 0x00af9b000000ffff"
module asm "boot_gdt_pointer: .word 15; .long boot_gdt"
module asm ".section .boot.tables, \\22aw\\22"
module asm ".p2align 12"
module asm "boot_top: .quad boot_upper + 3; .fill 510, 8, 0; .quad boot_upper + 3"
module asm "boot_upper: .quad 0x83; .fill 509, 8, 0; .quad 0x83, 0"
module asm ".text"
@numbers = dso_local constant [3 x i32] [i32 10, i32 20, i32 3], align 4
@pointer = dso_local global ptr getelementptr (i8, ptr @numbers, i64 4), align 8
@zero = dso_local global [8192 x i32] zeroinitializer, align 4096
define dso_local void @entry() naked noreturn {
  call void asm sideeffect """
    '"movq pointer, %rbx; movl (%rbx), %eax; addl numbers, %eax; addl numbers+8(%rip), %eax; addl zero+32764, %eax; '
    """outl %eax, $$0xf4; 1: hlt; jmp 1b", ""()
  unreachable
}
@llvm.used = appending global [3 x ptr] [ptr @numbers, ptr @pointer, ptr @zero], section "llvm.metadata"
"""
)


def assemble(text: str, code_model: str = "small") -> bytes:
    child = subprocess.run(
        [sys.executable, "-c", ASSEMBLE, code_model], input=text.encode(), capture_output=True, timeout=60, check=False
    )
    assert child.returncode == 0, child.stderr.decode()
    return child.stdout


@pytest.fixture(scope="module")
def program() -> bytes:
    return link(assemble(PROGRAM), APPLICATION)


def test_segments_are_page_aligned_and_never_writable_and_executable(program: bytes) -> None:
    found = segments(program)
    assert [s.flags for s in found] == [PF_R | PF_X, PF_R, PF_R | PF_W]
    for segment in found:
        assert segment.virtual % 4096 == 0
        assert segment.physical == segment.virtual
    assert found[0].virtual == 0x400000
    assert found[2].memory_size > len(found[2].data)  # zero-initialised memory is not in the file
    assert len(program) < 40_000


def test_symbols_bounds_and_entry(program: bytes) -> None:
    names = symbols(program)
    found = segments(program)
    assert entry_point(program) == names["entry"]
    assert names["__image_start"] == names["__text_start"] == 0x400000
    assert names["__text_end"] == found[0].virtual + found[0].memory_size
    assert names["__rodata_start"] == found[1].virtual
    assert names["__rodata_end"] == found[1].virtual + found[1].memory_size
    assert names["__data_start"] == found[2].virtual
    assert names["__data_end"] == found[2].virtual + found[2].memory_size
    assert names["__image_end"] % 4096 == 0
    assert 0 <= names["__image_end"] - names["__data_end"] < 4096
    assert names["helper"] in range(names["__text_start"], names["__text_end"])
    assert names["space"] % 4096 == 0
    assert names["table"] % 64 == 0


def test_absolute_relocations_hold_the_addresses(program: bytes) -> None:
    names = symbols(program)
    rodata = segments(program)[1]
    offset = names["table"] - rodata.virtual
    assert struct.unpack_from("<QQ", rodata.data, offset) == (names["entry"], names["counter"])


def test_other_readers_agree(program: bytes, tmp_path: Path) -> None:
    elf = ELFFile(io.BytesIO(program))
    assert elf.header.e_type == "ET_EXEC"
    names = {s.name: s.entry.st_value for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name}
    assert names == symbols(program)
    path = tmp_path / "program.elf"
    path.write_bytes(program)
    if shutil.which("readelf"):
        report = subprocess.run(
            ["readelf", "--wide", "--all", path], capture_output=True, text=True, timeout=30, check=True
        )
        assert "Warning" not in report.stderr + report.stdout
        assert "Error" not in report.stderr


def test_the_line_table_is_relocated(program: bytes) -> None:
    dwarf = ELFFile(io.BytesIO(program)).get_dwarf_info()
    unit = next(dwarf.iter_CUs())
    lines = [e.state for e in dwarf.line_program_for_CU(unit).get_entries() if e.state]
    entry = symbols(program)["entry"]
    assert any(state.address == entry and state.line == 10 for state in lines)
    assert {11, 12} <= {state.line for state in lines}
    subprogram = next(d for d in unit.iter_DIEs() if d.tag == "DW_TAG_subprogram")
    assert subprogram.attributes["DW_AT_name"].value == b"entry"
    frames = [e for e in dwarf.CFI_entries() if hasattr(e, "cie") and e.cie is not e]
    assert entry in {f.header["initial_location"] for f in frames if "initial_location" in f.header}


def test_gdb_reads_it(program: bytes, tmp_path: Path) -> None:
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    path = tmp_path / "program.elf"
    path.write_bytes(program)
    report = subprocess.run(
        ["gdb", "-nx", "-batch", "-ex", "info line entry", "-ex", "info symbol helper", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f'Line 10 of "program.py" starts at address {symbols(program)["entry"]:#x}' in report.stdout
    assert "helper in section .text" in report.stdout


def test_the_output_is_deterministic() -> None:
    objects = [assemble(PROGRAM), assemble(PROGRAM)]
    assert link(objects[0], APPLICATION) == link(objects[1], APPLICATION)


def test_a_kernel_is_placed_in_two_areas() -> None:
    elf = link(assemble(BOOTABLE, "kernel"), KERNEL)
    found = segments(elf)
    low = [s for s in found if s.virtual < 1 << 32]
    high = [s for s in found if s.virtual >= 1 << 32]
    assert low[0].virtual == 0x100000
    assert all(s.virtual == s.physical for s in low)
    assert high[0].virtual == 0xFFFFFFFF80200000
    assert all(s.physical == s.virtual - 0xFFFFFFFF80000000 for s in high)
    assert not any(s.flags & PF_W and s.flags & PF_X for s in found)
    notes = [s for s in ELFFile(io.BytesIO(elf)).iter_segments() if s.header.p_type == "PT_NOTE"]
    assert [n.header.p_align for n in notes] == [4]
    note = next(notes[0].iter_notes())
    assert note.n_name == "Xen"
    assert note.n_type == 18
    assert struct.unpack("<Q", bytes.fromhex(note.n_descdata.hex())) == (symbols(elf)["boot_entry"],)


@pytest.mark.parametrize("machine", ["microvm,acpi=off", "pc", "q35"])
def test_a_linked_kernel_boots(machine: str, tmp_path: Path) -> None:
    path = tmp_path / "kernel.elf"
    path.write_bytes(link(assemble(BOOTABLE, "kernel"), KERNEL))
    run = subprocess.run(
        [
            *("qemu-system-x86_64", "-M", machine, "-cpu", "max", "-accel", "tcg", "-m", "16", "-nodefaults"),
            *("-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", str(path)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == (10 + 20 + 3) << 1 | 1, run.stderr


def test_a_missing_entry_is_an_error() -> None:
    with pytest.raises(LinkError, match="entry point nowhere is not defined"):
        link(assemble(PROGRAM), Layout(base=0x400000, entry="nowhere"))


def test_undefined_symbols_are_named() -> None:
    text = HEADER + (
        "declare dso_local void @lost()\ndeclare dso_local void @gone()\n"
        "define dso_local void @entry() {\n call void @lost()\n call void @gone()\n ret void\n}\n"
    )
    with pytest.raises(LinkError, match="undefined: gone, lost"):
        link(assemble(text), APPLICATION)


def test_a_boundary_symbol_cannot_be_defined_by_the_program() -> None:
    text = HEADER + "@__image_end = dso_local global i8 1\ndefine dso_local void @entry() {\n ret void\n}\n"
    with pytest.raises(LinkError, match="may not define: __image_end"):
        link(assemble(text), APPLICATION)


def test_an_address_out_of_reach_names_the_symbol() -> None:
    # The small code model's 32-bit addresses cannot reach a program at 256 GiB.
    with pytest.raises(LinkError, match="out of reach of R_X86_64_32"):
        link(assemble(PROGRAM), Layout(base=1 << 38, entry="entry"))


def test_segments_may_not_overlap_in_physical_memory() -> None:
    crowded = Layout(base=0xFFFFFFFF80100000, entry="entry", physical_offset=0xFFFFFFFF80000000)
    with pytest.raises(LinkError, match="overlaps"):
        link(assemble(BOOTABLE, "kernel"), crowded)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"not an object at all, but long enough to have a header" * 2])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(LinkError, match="not a 64-bit"):
        link(data, APPLICATION)


def test_an_executable_is_no_object(program: bytes) -> None:
    with pytest.raises(LinkError, match="not a relocatable"):
        link(program, APPLICATION)
