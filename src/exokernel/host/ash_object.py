# SPDX-License-Identifier: MIT
"""eBPF objects (ELF, machine EM_BPF) as programs: one section per program, the local functions of `.text` behind it.

Only calls are relocated. What needs a map, a global variable or a function that is not there is marked, so that
inspection refuses it with its number: deciding is the kernel's.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exokernel.aegis.ebpf import CALL, LOAD_WIDE
from exokernel.host.terminal import Failure

R_BPF_64_64, R_BPF_64_32 = 1, 10
BY_TYPE = 2  # `source` of a call that inspection refuses
EXECUTABLE = 4  # SHF_EXECINSTR
LARGEST = 16 << 20  # bytes of an object; the longest program has 32 KiB


@dataclass(frozen=True)
class Handler:
    """One program of an object: the section's name and the linked instructions."""

    name: str
    program: bytes
    outside: dict[int, str] = field(default_factory=dict)  # what an instruction needs that is not here

    def why(self, place: int, text: str) -> str:
        """The reason `text` against the instruction `place`, with the name of what it needs."""
        return f"{text}: {self.outside[place]}" if place in self.outside else text


def programs(path: Path) -> list[Handler]:
    """All programs of an object, in its order. Raises Failure for what is no such object."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Failure(f"{path} is too large to be an eBPF object")
    return linked(data, str(path))


def linked(data: bytes, name: str) -> list[Handler]:
    """The same of an object's bytes."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        if elf.header.e_machine not in ("EM_BPF", 247) or not elf.little_endian or elf.elfclass != 64:
            raise Failure(f"{name} is not a little-endian eBPF object", "clang -O2 -target bpf -c makes one")
        sections = list(elf.iter_sections())
        code = {
            i: s
            for i, s in enumerate(sections)
            if s.header.sh_flags & EXECUTABLE and s.header.sh_type == "SHT_PROGBITS"
        }
        texts = [i for i, s in code.items() if s.name == ".text" and s.data_size]
        chosen = [i for i, s in code.items() if s.data_size and i not in texts] or texts
        if not chosen:
            raise Failure(f"{name} contains no program")
        return [Handler(sections[i].name, *_link(elf, sections, i, texts)) for i in chosen]
    except (ELFError, ArithmeticError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise Failure(f"{name} is damaged: {error}") from None


def _link(elf: Any, sections: list[Any], main: int, texts: list[int]) -> tuple[bytes, dict[int, str]]:
    """The section `main` and what it may call behind it, with all calls between them resolved; what is not there."""
    bases: dict[int, int] = {}
    outside: dict[int, str] = {}
    image = bytearray()
    for index in [main, *(i for i in texts if i != main)]:
        bases[index] = len(image)
        image += sections[index].data()
    for relocations in sections:
        if relocations.header.sh_type != "SHT_REL" or relocations.header.sh_info not in bases:
            continue
        symbols = elf.get_section(relocations.header.sh_link)
        for relocation in relocations.iter_relocations():
            place = bases[relocations.header.sh_info] + relocation["r_offset"]
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            name = symbol.name or _section_name(sections, symbol["st_shndx"])
            if relocation["r_info_type"] == R_BPF_64_32 and image[place] == CALL:
                if symbol["st_shndx"] in bases:
                    _resolve_call(image, place, symbol, bases)
                    continue
                image[place + 1] = BY_TYPE << 4
                outside[place // 8] = f"the function `{name}` is not in this object"
            elif relocation["r_info_type"] == R_BPF_64_64 and image[place] == LOAD_WIDE:
                image[place + 1] = image[place + 1] & 0x0F | 1 << 4  # "the address of a map"
                outside[place // 8] = f"`{name}`"
    return bytes(image[: _needed(image, len(sections[main].data()))]), outside


def _section_name(sections: list[Any], index: object) -> str:
    return str(sections[index].name) if isinstance(index, int) and index < len(sections) else ""


def _resolve_call(image: bytearray, place: int, symbol: Any, bases: dict[int, int]) -> None:
    immediate = int.from_bytes(image[place + 4 : place + 8], "little", signed=True)
    target = (bases[symbol["st_shndx"]] + symbol["st_value"]) // 8 + immediate + 1
    image[place + 4 : place + 8] = (target - place // 8 - 1).to_bytes(4, "little", signed=True)


def _needed(image: bytearray, own: int) -> int:
    """Bytes of the image: without what lies behind the program, if it calls nothing there."""
    for place in range(0, own, 8):
        distance = int.from_bytes(image[place + 4 : place + 8], "little", signed=True)
        if image[place] == CALL and image[place + 1] >> 4 == 1 and (place // 8 + 1 + distance) * 8 >= own:
            return len(image)
    return own
