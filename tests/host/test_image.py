# SPDX-License-Identifier: MIT
"""Images: what is put in comes out, and the file is one that other tools and the kernel's rules agree with."""

import io
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from tests.host.commands import CRASH, HELLO

from exokernel.aegis.abi import BundleHeader, BundleProgram
from exokernel.host.build import Image, build
from exokernel.host.image import EXECUTE, HEADER, WRITE, Bundle, File, ImageError, Program, assemble, read_bundle
from exokernel.metal import sizeof
from exokernel.metal.linker import PF_R, PF_W, PF_X, Segment, entry_point, segments, symbols


@pytest.fixture(scope="module")
def image(cache: Path) -> Image:
    return build([HELLO, CRASH], cache=cache)


def test_a_bundle_survives_the_round_trip() -> None:
    code = Segment(0x400000, 0x400000, PF_R | PF_X, b"\xc3" * 5000, 5000)
    data = Segment(0x402000, 0x402000, PF_R | PF_W, b"abc", 9000)
    files = File("empty", b""), File("data/table.bin", bytes(range(256)) * 17), File("é", b"x" * 4096)
    bundle = Bundle((Program("one", 0x400010, (code, data)), Program("two", 0x400000, (code,))), files, 1, 1000)
    raw = bundle.to_bytes()
    assert Bundle.from_bytes(raw) == bundle
    assert len(raw) % 4096 == 0


def test_the_bundle_is_laid_out_as_documented() -> None:
    code = Segment(0x400000, 0x400000, PF_R | PF_X, b"code", 4)
    data = Segment(0x401000, 0x401000, PF_R | PF_W, b"data", 64)
    program = Program("name", 0x400002, (code, data))
    raw = Bundle((program,), (File("a/b", b"twice"), File("c", b"twice"), File("d", b"")), slice_ticks=77).to_bytes()
    assert raw[:8] == b"EXOBUNDL"
    assert struct.unpack_from("<QIIII", raw, 8) == (len(raw), 1, 3, 77, 1)
    assert HEADER.size == 64
    assert raw[64:96] == b"name".ljust(32, b"\0")
    assert struct.unpack_from("<QII", raw, 96) == (0x400002, 2, 0)
    assert struct.unpack_from("<5Q", raw, 112) == (0x400000, 4096, 4, 4, EXECUTE)
    assert struct.unpack_from("<5Q", raw, 152) == (0x401000, 8192, 4, 64, WRITE)
    assert raw[4096:4100] == b"code"
    assert raw[8192:8196] == b"data"
    assert struct.unpack_from("<112s2Q", raw, 64 + 208) == (b"a/b".ljust(112, b"\0"), 12288, 5)
    assert struct.unpack_from("<112s2Q", raw, 64 + 208 + 128) == (b"c".ljust(112, b"\0"), 12288, 5)
    assert struct.unpack_from("<112s2Q", raw, 64 + 208 + 256) == (b"d".ljust(112, b"\0"), 16384, 0)
    assert raw[12288:] == b"twice".ljust(4096, b"\0")
    assert sizeof(BundleHeader) == 64 and sizeof(BundleProgram) == 208


def test_an_image_holds_the_programs_that_were_linked(image: Image) -> None:
    bundle = read_bundle(image.data)
    assert [p.name for p in bundle.programs] == ["hello", "crash"]
    for program, compiled in zip(bundle.programs, image.applications, strict=True):
        assert program.entry == entry_point(compiled.elf)
        linked = segments(compiled.elf)
        assert [(s.virtual, s.data, s.memory_size, s.flags) for s in program.segments] == [
            (s.virtual, s.data, s.memory_size, s.flags) for s in linked
        ]
        assert all(not (s.flags & PF_W and s.flags & PF_X) for s in program.segments)


def test_the_kernel_is_unchanged_but_for_one_segment(image: Image) -> None:
    before, after = segments(image.kernel.elf), segments(image.data)
    assert after[:-1] == before
    bundle = after[-1]
    assert bundle.virtual == symbols(image.kernel.elf)["__image_end"]
    assert bundle.physical == bundle.virtual - 0xFFFFFFFF80000000
    assert bundle.flags == PF_R
    assert all(s.physical + s.memory_size <= bundle.physical for s in before)
    elf = ELFFile(io.BytesIO(image.data))
    assert [s.header.p_type for s in elf.iter_segments()].count("PT_NOTE") == 1
    assert elf.get_section_by_name(".debug_line") is not None


def test_the_same_parts_make_the_same_bytes(image: Image) -> None:
    programs = tuple(Program.from_elf(a.name, a.elf) for a in image.applications)
    assert assemble(image.kernel.elf, Bundle(programs)) == image.data


@pytest.mark.parametrize("name", ["", "x" * 32, "é" * 16, "x\0"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="name has 1 to 31 bytes"):
        Bundle((Program(name, 0, ()),)).to_bytes()


@pytest.mark.parametrize("name", ["", "x" * 112, "é" * 56, "\0"])
def test_a_files_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="name has 1 to 111 bytes"):
        Bundle((), (File(name, b""),)).to_bytes()


def test_what_is_no_bundle_is_refused(image: Image) -> None:
    with pytest.raises(ImageError, match="no bundle"):
        Bundle.from_bytes(b"something else" * 100)
    whole = Bundle((Program("one", 0, (Segment(0, 0, PF_R, b"x", 1),)),)).to_bytes()
    with pytest.raises(ImageError, match="cut short"):
        Bundle.from_bytes(whole[:-4096])
    whole = Bundle((), (File("one", b"x"),)).to_bytes()
    for at, value in ((8, 4096), (20, 64), (64 + 112, 8192), (64 + 120, 4097)):
        with pytest.raises(ImageError, match="cut short"):
            Bundle.from_bytes(whole[:at] + struct.pack("<I", value) + whole[at + 4 :])
    with pytest.raises(ImageError, match="carries no bundle"):
        read_bundle(image.kernel.elf)
    with pytest.raises(ImageError, match="__image_start"):
        # An ELF file without symbols: the image's own, with the symbol table's type changed.
        broken = bytearray(image.kernel.elf)
        table = struct.unpack_from("<Q", broken, 40)[0]
        for index in range(struct.unpack_from("<H", broken, 60)[0]):
            if struct.unpack_from("<I", broken, table + 64 * index + 4)[0] == 2:
                struct.pack_into("<I", broken, table + 64 * index + 4, 1)
        assemble(bytes(broken), Bundle(()))
