# SPDX-License-Identifier: MIT
"""The linker: one x86-64 relocatable object in, one static ELF executable out.

A program of the dialect is a single LLVM module, hence a single object file, so linking is only this: give every
section its address, apply the relocations, and write segments that QEMU (or our own kernel) can load and a symbol table
and DWARF that gdb can read. The output depends on the object and the layout and on nothing else. It must never
produce a segment that is both writable and executable, and never guess: what it does not know is a `LinkError`.

Formats: System V ABI, AMD64 supplement (relocations, chapter 4.4); gABI chapters 4 and 5 (ELF64).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

PAGE = 4096

# Section types, section flags, segment types and segment flags of the gABI.
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL = 1, 2, 3, 4, 7, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
PT_LOAD, PT_NOTE = 1, 4
PF_X, PF_W, PF_R = 1, 2, 4
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2
ET_REL, ET_EXEC, EM_X86_64 = 1, 2, 62
STB_LOCAL, STT_SECTION, STT_FILE = 0, 3, 4

ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
IDENTIFICATION = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bit, little-endian, version 1, System V


class LinkError(ValueError):
    """The object cannot be linked as asked; the message names the symbols or sections at fault."""


@dataclass(frozen=True)
class Layout:
    """Where a program goes. Addresses in bytes; `physical = virtual - physical_offset` outside the boot sections."""

    base: int
    entry: str
    physical_offset: int = 0
    boot_prefix: str = ".boot"
    boot_base: int = 0x100000


@dataclass(frozen=True)
class Segment:
    """A loadable part of an executable: `data` at `virtual`, then zeros up to `memory_size` bytes."""

    virtual: int
    physical: int
    flags: int
    data: bytes
    memory_size: int


@dataclass(frozen=True)
class _Kind:
    """How one relocation type is stored: `size` bytes, relative to its own place or not, and the range it may have."""

    name: str
    size: int
    relative: bool
    signed: bool


_RELOCATIONS = {
    1: _Kind("R_X86_64_64", 8, False, False),
    2: _Kind("R_X86_64_PC32", 4, True, True),
    4: _Kind("R_X86_64_PLT32", 4, True, True),
    10: _Kind("R_X86_64_32", 4, False, False),
    11: _Kind("R_X86_64_32S", 4, False, True),
    12: _Kind("R_X86_64_16", 2, False, False),
    13: _Kind("R_X86_64_PC16", 2, True, True),
    14: _Kind("R_X86_64_8", 1, False, False),
    15: _Kind("R_X86_64_PC8", 1, True, True),
    24: _Kind("R_X86_64_PC64", 8, True, True),
}


class _Class(IntEnum):
    """The four kinds of memory, in the order in which they are laid out."""

    TEXT = 0
    RODATA = 1
    DATA = 2
    BSS = 3


_CLASS_FLAGS = {_Class.TEXT: PF_R | PF_X, _Class.RODATA: PF_R, _Class.DATA: PF_R | PF_W, _Class.BSS: PF_R | PF_W}


@dataclass
class _Section:
    index: int
    name: str
    kind: int
    flags: int
    link: int
    info: int
    alignment: int
    entry_size: int
    size: int
    data: bytearray
    address: int = 0

    @property
    def memory_class(self) -> _Class:
        if self.flags & SHF_EXECINSTR:
            return _Class.TEXT
        # Without a dynamic loader nothing writes to .data.rel.ro after we relocated it, so it need not be writable.
        if not self.flags & SHF_WRITE or self.name.startswith(".data.rel.ro"):
            return _Class.RODATA
        return _Class.BSS if self.kind == SHT_NOBITS else _Class.DATA


@dataclass
class _Symbol:
    name: str
    info: int
    section: int
    value: int
    size: int
    address: int | None = None


@dataclass
class _Group:
    """Sections that share one segment; `end` includes zero-initialised memory, `file_end` does not."""

    flags: int
    physical_offset: int
    start: int
    file_end: int
    end: int
    sections: list[_Section] = field(default_factory=list)
    offset: int = 0


def link(object_file: bytes, layout: Layout) -> bytes:
    """Link `object_file` (ELF64 relocatable, x86-64) at `layout` and return the executable.

    Defines `__image_start`, `__image_end` (page-rounded, zero-initialised memory included), and `__text_start`,
    `__rodata_start`, `__data_start` with their `_end`, for the sections outside the boot area.
    Raises `LinkError`.
    """
    sections, found = _read_object(object_file)
    loaded = [s for s in sections if s.flags & SHF_ALLOC and s.size and s.name != ".eh_frame"]
    debug = [s for s in sections if s.name.startswith(".debug") and s.kind == SHT_PROGBITS]

    boot = [s for s in loaded if s.name.startswith(layout.boot_prefix)]
    image = [s for s in loaded if not s.name.startswith(layout.boot_prefix)]
    boot_groups, _ = _place(boot, layout.boot_base, 0)
    groups, bounds = _place(image, layout.base, layout.physical_offset)
    groups = boot_groups + groups
    _check_overlap(groups)

    _resolve(found, sections, loaded + debug, bounds)
    for section in sections:
        if section.kind == SHT_REL:
            raise LinkError(f"section {section.name}: relocations without addend are not x86-64")
        if section.kind == SHT_RELA and any(sections[section.info] is s for s in loaded + debug):
            _relocate(sections[section.info], section, found)

    named = {s.name: s.address for s in found if s.name and s.address is not None}
    if layout.entry not in named:
        raise LinkError(f"the entry point {layout.entry} is not defined")
    return _write(groups, debug, found, bounds, named[layout.entry])


def segments(elf: bytes) -> list[Segment]:
    """The PT_LOAD segments of an executable, in file order. Raises `LinkError` when it is no ELF64 executable."""
    return [
        Segment(virtual, physical, flags, elf[offset : offset + file_size], memory_size)
        for kind, flags, offset, virtual, physical, file_size, memory_size, _ in _program_headers(elf)
        if kind == PT_LOAD
    ]


def entry_point(elf: bytes) -> int:
    """The virtual address at which an executable starts."""
    return int(_header(elf)[4])


def symbols(elf: bytes) -> dict[str, int]:
    """Every named symbol of an executable with its virtual address."""
    return {s.name: s.value for s in _read_symbols(elf, _read_sections(elf)) if s.name}


# Reading


def _header(elf: bytes) -> tuple[int, ...]:
    """The fields of the ELF header after the identification, with the machine and the class checked."""
    if len(elf) < ELF_HEADER.size or elf[:7] != IDENTIFICATION[:7]:
        raise LinkError("not a 64-bit little-endian ELF file")
    fields = ELF_HEADER.unpack_from(elf)
    if fields[2] != EM_X86_64:
        raise LinkError(f"not for x86-64 (ELF machine {fields[2]})")
    return fields


def _program_headers(elf: bytes) -> Iterator[tuple[int, ...]]:
    fields = _header(elf)
    for index in range(fields[10]):
        yield PROGRAM_HEADER.unpack_from(elf, fields[5] + index * fields[9])


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(0, offset)].decode()


def _read_sections(elf: bytes) -> list[_Section]:
    fields = _header(elf)
    table, entry_size, count, names = fields[6], fields[11], fields[12], fields[13]
    raw = [SECTION_HEADER.unpack_from(elf, table + index * entry_size) for index in range(count)]
    if not raw:
        return []
    strings = elf[raw[names][4] : raw[names][4] + raw[names][5]]
    sections = []
    for index, (name, kind, flags, address, offset, size, link_to, info, alignment, entry) in enumerate(raw):
        data = bytearray() if kind == SHT_NOBITS else bytearray(elf[offset : offset + size])
        sections.append(
            _Section(
                index, _string(strings, name), kind, flags, link_to, info, max(alignment, 1), entry, size, data, address
            )
        )
    return sections


def _read_symbols(elf: bytes, sections: list[_Section]) -> list[_Symbol]:
    table = next((s for s in sections if s.kind == SHT_SYMTAB), None)
    if table is None:
        return []
    strings = bytes(sections[table.link].data)
    found = []
    for name, info, _, section, value, size in SYMBOL.iter_unpack(table.data):
        found.append(_Symbol(_string(strings, name), info, section, value, size))
    return found


def _read_object(elf: bytes) -> tuple[list[_Section], list[_Symbol]]:
    if _header(elf)[1] != ET_REL:
        raise LinkError("not a relocatable object file")
    sections = _read_sections(elf)
    found = _read_symbols(elf, sections)
    if not found:
        raise LinkError("the object has no symbol table")
    return sections, found


# Placing


def _round_up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _place(sections: list[_Section], base: int, physical_offset: int) -> tuple[list[_Group], dict[str, int]]:
    """Give each section its address from `base` on; return the segments and the boundary symbols.

    Each kind of memory starts on a page of its own, so no page needs more rights than its contents;
    zero-initialised memory follows the data in the same segment.
    """
    groups: list[_Group] = []
    bounds = {"__image_start": base}
    address = base
    for memory_class in _Class:
        # Widest alignment first wastes least; text keeps the order of the object, which is that of the source.
        members = sorted(
            (s for s in sections if s.memory_class is memory_class),
            key=lambda s: (0 if memory_class is _Class.TEXT else -s.alignment, s.index),
        )
        continues = memory_class is _Class.BSS and bool(groups) and groups[-1].flags & PF_W
        if not continues:
            address = _round_up(address, PAGE)
        start = address
        for section in members:
            if section.alignment & (section.alignment - 1):
                raise LinkError(f"section {section.name}: alignment {section.alignment} is not a power of two")
            address = _round_up(address, section.alignment)
            section.address = address
            address += section.size
        if memory_class is not _Class.BSS:
            name = memory_class.name.lower()
            bounds[f"__{name}_start"], bounds[f"__{name}_end"] = start, address
        if not members:
            continue
        if continues:
            groups[-1].end = address
            groups[-1].sections += members
        else:
            file_end = start if memory_class is _Class.BSS else address
            groups.append(_Group(_CLASS_FLAGS[memory_class], physical_offset, start, file_end, address, members))
    bounds["__data_end"] = address
    bounds["__image_end"] = _round_up(address, PAGE)
    return groups, bounds


def _check_overlap(groups: list[_Group]) -> None:
    """Two segments that share physical memory would overwrite each other when they are loaded."""
    ranges = sorted((g.start - g.physical_offset, g.end - g.physical_offset, g.sections[0].name) for g in groups)
    for (start, end, name), (following, _, other) in pairwise(ranges):
        if following < end:
            raise LinkError(
                f"{name} ({start:#x} to {end:#x}) overlaps {other} (from {following:#x}) in physical memory"
            )
    if ranges and ranges[0][0] < 0:
        raise LinkError(f"{ranges[0][2]} would lie below physical address 0")


def _resolve(found: list[_Symbol], sections: list[_Section], present: list[_Section], bounds: dict[str, int]) -> None:
    """Give each symbol its address: its section's plus its value, or one of the boundaries we define."""
    kept = {s.index for s in present}
    undefined, common, twice = [], [], []
    for symbol in found[1:]:
        if symbol.section == SHN_UNDEF:
            symbol.address = bounds.get(symbol.name)
            if symbol.address is None:
                undefined.append(symbol.name)
            continue
        if symbol.name in bounds:
            twice.append(symbol.name)
        if symbol.section == SHN_COMMON:
            common.append(symbol.name)
        elif symbol.section == SHN_ABS:
            symbol.address = symbol.value
        elif symbol.section < SHN_LORESERVE:
            section = sections[symbol.section]
            # An empty section has no place; a symbol at its start may still be mentioned in debug information.
            symbol.address = section.address + symbol.value if section.index in kept or not section.size else None
    if undefined:
        raise LinkError("undefined: " + ", ".join(sorted(set(undefined))))
    if common:
        raise LinkError("common symbols are not supported: " + ", ".join(sorted(common)))
    if twice:
        raise LinkError("defined by the linker, so the program may not define: " + ", ".join(sorted(twice)))


# Relocating


def _relocate(target: _Section, relocations: _Section, found: list[_Symbol]) -> None:
    """Apply one relocation section to the bytes of `target`."""
    for offset, info, addend in RELOCATION.iter_unpack(relocations.data):
        symbol = found[info >> 32]
        kind = _RELOCATIONS.get(info & 0xFFFFFFFF)
        where = f"{target.name}+{offset:#x}"
        if kind is None:
            raise LinkError(f"{where}: relocation type {info & 0xFFFFFFFF} against {symbol.name} is not supported")
        if target.kind == SHT_NOBITS or offset + kind.size > len(target.data):
            raise LinkError(f"{where}: relocation outside the section")
        # Symbol 0 and references into dropped sections count as address 0, as other linkers do for debug information.
        if symbol.address is None and info >> 32 and not target.name.startswith(".debug"):
            raise LinkError(f"{where}: refers to {symbol.name}, which is not part of the image")
        value = (symbol.address or 0) + addend
        if kind.relative:
            value -= target.address + offset
        bits = 8 * kind.size
        if kind.signed:
            # Addresses live in 64 bits: the top 2 GiB are the negative numbers of R_X86_64_32S.
            value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
            fits = -1 << (bits - 1) <= value < 1 << (bits - 1)
        else:
            value %= 1 << 64
            fits = value < 1 << bits
        if not fits:
            raise LinkError(f"{where}: {symbol.name} is out of reach of {kind.name} ({value:#x})")
        target.data[offset : offset + kind.size] = (value % (1 << bits)).to_bytes(kind.size, "little")


# Writing


class _Strings:
    """A string table under construction."""

    def __init__(self) -> None:
        self.data = bytearray(1)

    def add(self, text: str) -> int:
        if not text:
            return 0
        offset = len(self.data)
        self.data += text.encode() + b"\0"
        return offset


def _write(
    groups: list[_Group], debug: list[_Section], found: list[_Symbol], bounds: dict[str, int], entry: int
) -> bytes:
    """Lay out the file: headers on a page of their own, segments, debug sections, symbols, section headers.

    The first page is never loaded, so `host.image` can add a program header to it.
    """
    output = bytearray(PAGE)
    names = _Strings()
    headers: list[tuple[int, ...]] = [(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    numbers: dict[int, int] = {}  # section index in the object -> section index in the executable
    program: list[tuple[int, ...]] = []
    notes: list[tuple[int, ...]] = []

    def pad(alignment: int) -> None:
        output.extend(bytes(-len(output) % alignment))

    for group in groups:
        pad(PAGE)
        group.offset = len(output)
        output += bytes(group.file_end - group.start)
        size, memory_size = group.file_end - group.start, group.end - group.start
        physical = group.start - group.physical_offset
        program.append((PT_LOAD, group.flags, group.offset, group.start, physical, size, memory_size, PAGE))
        for section in group.sections:
            offset = group.offset + section.address - group.start
            if section.kind != SHT_NOBITS:
                output[offset : offset + section.size] = section.data
            numbers[section.index] = len(headers)
            headers.append(
                (
                    *(names.add(section.name), section.kind, section.flags, section.address, offset, section.size),
                    *(0, 0, section.alignment, section.entry_size),
                )
            )
            if section.kind == SHT_NOTE:
                load = section.address - group.physical_offset
                notes.append((PT_NOTE, PF_R, offset, section.address, load, section.size, section.size, 4))
    program += notes
    if ELF_HEADER.size + len(program) * PROGRAM_HEADER.size > PAGE:
        raise LinkError("too many segments for the header page")

    for section in debug:
        numbers[section.index] = len(headers)
        headers.append(
            (
                names.add(section.name),
                SHT_PROGBITS,
                section.flags,
                0,
                len(output),
                section.size,
                0,
                0,
                1,
                section.entry_size,
            )
        )
        output += section.data

    pad(8)
    table, strings, locals_ = _symbol_table(found, bounds, numbers)
    headers.append(
        (names.add(".symtab"), SHT_SYMTAB, 0, 0, len(output), len(table), len(headers) + 1, locals_, 8, SYMBOL.size)
    )
    output += table
    headers.append((names.add(".strtab"), SHT_STRTAB, 0, 0, len(output), len(strings), 0, 0, 1, 0))
    output += strings
    name = names.add(".shstrtab")
    headers.append((name, SHT_STRTAB, 0, 0, len(output), len(names.data), 0, 0, 1, 0))
    output += names.data
    pad(8)

    section_table = len(output)
    for header in headers:
        output += SECTION_HEADER.pack(*header)
    ELF_HEADER.pack_into(
        *(output, 0, IDENTIFICATION, ET_EXEC, EM_X86_64, 1, entry, ELF_HEADER.size, section_table, 0),
        *(ELF_HEADER.size, PROGRAM_HEADER.size, len(program), SECTION_HEADER.size, len(headers), len(headers) - 1),
    )
    for index, header in enumerate(program):
        PROGRAM_HEADER.pack_into(output, ELF_HEADER.size + index * PROGRAM_HEADER.size, *header)
    return bytes(output)


def _symbol_table(
    found: list[_Symbol], bounds: dict[str, int], numbers: dict[int, int]
) -> tuple[bytearray, bytearray, int]:
    """The symbol table, its strings, and the number of local symbols (which the format wants first)."""
    strings = _Strings()
    table = bytearray(SYMBOL.size)
    kept = [
        s
        for s in found[1:]
        if s.name and s.address is not None and s.section != SHN_UNDEF and s.info & 15 not in (STT_SECTION, STT_FILE)
    ]
    kept.sort(key=lambda s: s.info >> 4 != STB_LOCAL)
    for symbol in kept:
        section = numbers.get(symbol.section, SHN_ABS)
        table += SYMBOL.pack(strings.add(symbol.name), symbol.info, 0, section, symbol.address, symbol.size)
    for name, address in bounds.items():
        table += SYMBOL.pack(strings.add(name), 1 << 4, 0, SHN_ABS, address, 0)
    return table, strings.data, 1 + sum(s.info >> 4 == STB_LOCAL for s in kept)
