# SPDX-License-Identifier: MIT
"""Where an address of a program stands in the Python source, from its symbols and DWARF (inlined functions included).

Also tells why a trap of the dialect was taken: the displacement of its `ud1` instruction says so (metal.errors.TRAPS).
pyelftools is slow to import, so only reports import this module.
"""

import io
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from elftools.dwarf.descriptions import describe_form_class
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from exokernel.metal.errors import TRAPS
from exokernel.metal.linker import segments

TRAP_INSTRUCTION = bytes.fromhex("670fb940")  # ud1 eax, [eax + displacement], the displacement in the next byte
LABEL_REACH = 2048  # bytes of assembly behind one label: the kernel's ways in for exceptions


@dataclass(frozen=True)
class Frame:
    """A place in the source. `function` is empty where nothing is known."""

    function: str
    file: str
    line: int


class Symbolizer:
    """The debug information of one linked program."""

    def __init__(self, elf: bytes) -> None:
        self._segments = segments(elf)
        file = ELFFile(io.BytesIO(elf))
        table: Any = file.get_section_by_name(".symtab")
        found = [s for s in table.iter_symbols() if s.name and s["st_info"]["type"] == "STT_FUNC"] if table else []
        labels = [s for s in table.iter_symbols() if s.name and s["st_info"]["type"] == "STT_NOTYPE"] if table else []
        self._labels = sorted((s["st_value"], s.name) for s in labels if s["st_shndx"] not in ("SHN_ABS", "SHN_UNDEF"))
        self._functions = sorted((s["st_value"], s["st_size"], s.name) for s in found)
        self._dwarf: Any = file.get_dwarf_info() if file.has_dwarf_info() else None

    def frames(self, address: int) -> list[Frame]:
        """The source places of an instruction, the innermost inlined function first; empty if it is not known."""
        if self._dwarf is not None:
            for unit in self._dwarf.iter_CUs():
                place = self._line(unit, address)
                if place:
                    return self._inlined(unit, address, *place)
        name = self.function(address)
        return [Frame(name, "", 0)] if name else []

    def function(self, address: int) -> str:
        """The symbol that covers an address, or nothing."""
        index = bisect_right(self._functions, address, key=lambda f: f[0]) - 1
        if index < 0:
            return ""
        start, size, name = self._functions[index]
        return name if address < start + max(size, 1) else ""

    def functions(self, address: int) -> tuple[str, ...]:
        """The functions around an instruction as `module.function`, the outermost first, without their lines: quick enough
        for every instruction of a program. Empty if nothing is known.
        """
        outer = self._outer
        index = bisect_right(outer, address, key=lambda o: o[0]) - 1
        if index >= 0 and address < outer[index][1]:
            die = outer[index][2]
            return tuple(self._qualified(d) for d in (die, *self._enclosing(die, address)))
        name = self.function(address) or self._label(address)
        return (name.removeprefix("exokernel."),) if name else ()

    def _label(self, address: int) -> str:
        """The label before an address of assembly that is no function, or nothing."""
        index = bisect_right(self._labels, address, key=lambda label: label[0]) - 1
        return self._labels[index][1] if index >= 0 and address - self._labels[index][0] < LABEL_REACH else ""

    @cached_property
    def _outer(self) -> list[tuple[int, int, Any]]:
        """The functions that are not inlined, by address."""
        found = [
            (low, high, die)
            for unit in (self._dwarf.iter_CUs() if self._dwarf else ())
            for die in unit.get_top_DIE().iter_children()
            if die.tag == "DW_TAG_subprogram"
            for low, high in self._ranges(die)
        ]
        return sorted(found, key=lambda f: f[:2])

    def _qualified(self, die: Any) -> str:
        origin = _origin(die)
        if origin is None:
            return "?"
        name = _text(origin.attributes["DW_AT_name"].value)
        if "DW_AT_decl_file" not in origin.attributes:
            return name
        program = self._dwarf.line_program_for_CU(origin.cu)
        file = PurePosixPath(self._file(origin.cu, program, origin.attributes["DW_AT_decl_file"].value))
        return name if file.name.startswith("<") else f"{file.stem}.{name}"  # <...>: its source was generated

    def trap(self, address: int) -> str | None:
        """Why the dialect's trap at `address` was taken; None if there is none."""
        for segment in self._segments:
            offset = address - segment.virtual
            if 0 <= offset < len(segment.data):
                code = segment.data[offset : offset + 5]
                return TRAPS.get(code[4]) if code[:4] == TRAP_INSTRUCTION and len(code) == 5 else None
        return None

    def _line(self, unit: Any, address: int) -> tuple[str, int] | None:
        """File and line of an address, from the unit's line table."""
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return None
        before = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before is not None and before.address <= address < state.address:
                return self._file(unit, program, before.file), before.line
            before = None if state.end_sequence else state
        return None

    def _inlined(self, unit: Any, address: int, file: str, line: int) -> list[Frame]:
        """The chain of functions around an address: each inlined one knows where it was called."""
        chain = self._enclosing(unit.get_top_DIE(), address)
        frames = []
        for die in reversed(chain):
            frames.append(Frame(_name(die), file, line))
            if die.tag == "DW_TAG_inlined_subroutine":
                program = self._dwarf.line_program_for_CU(unit)
                file = self._file(unit, program, die.attributes["DW_AT_call_file"].value)
                line = die.attributes["DW_AT_call_line"].value
        return frames or [Frame(self.function(address), file, line)]

    def _enclosing(self, die: Any, address: int) -> list[Any]:
        """The functions, outermost first, whose code covers the address."""
        for child in die.iter_children():
            if child.tag not in ("DW_TAG_lexical_block", "DW_TAG_subprogram", "DW_TAG_inlined_subroutine"):
                continue
            if any(low <= address < high for low, high in self._ranges(child)):
                own = [] if child.tag == "DW_TAG_lexical_block" else [child]
                return own + self._enclosing(child, address)
        return []

    def _ranges(self, die: Any) -> Iterator[tuple[int, int]]:
        attributes = die.attributes
        if "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield low, high.value if describe_form_class(high.form) == "address" else low + high.value
        elif "DW_AT_ranges" in attributes:
            top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
            base = top.value if top else 0
            for entry in self._dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, die.cu):
                if isinstance(entry, BaseAddressEntry):
                    base = entry.base_address
                else:
                    offset = 0 if entry.is_absolute else base
                    yield offset + entry.begin_offset, offset + entry.end_offset

    def _file(self, unit: Any, program: Any, index: int) -> str:
        """The path of a file of the line table (DWARF 5 section 6.2.4; version 5 counts from 0)."""
        header = program.header
        entries = header["file_entry"]
        entry = entries[index if header["version"] >= 5 else index - 1]
        directories = header["include_directory"]
        base = _text(unit.get_top_DIE().attributes["DW_AT_comp_dir"].value) if header["version"] < 5 else ""
        number = entry.dir_index if header["version"] >= 5 else entry.dir_index - 1
        folder = _text(directories[number]) if number >= 0 else base
        return str(PurePosixPath(base, folder, _text(entry.name)))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _name(die: Any) -> str:
    """A function's name."""
    origin = _origin(die)
    return _text(origin.attributes["DW_AT_name"].value) if origin is not None else ""


def _origin(die: Any) -> Any:
    """What has a function's name: itself, or of an inlined copy its origin. None if nothing has."""
    for _ in range(4):
        if "DW_AT_name" in die.attributes:
            return die
        for link in ("DW_AT_abstract_origin", "DW_AT_specification"):
            if link in die.attributes:
                die = die.get_DIE_from_attribute(link)
                break
        else:
            break
    return None
