# SPDX-License-Identifier: MIT
"""What Linux is started from: its kernel out of a bzImage, and a first root file system in memory.

The archive is cpio's `newc` format (Linux: Documentation/driver-api/early-userspace/buffer-format.rst), the boot image
that of Documentation/x86/boot.rst. Both functions give the same bytes for the same input, everywhere and for everybody.
"""

import gzip
import lzma
import struct
from collections.abc import Mapping
from typing import NamedTuple

from exokernel.host.terminal import Failure

DIRECTORY, FILE, DEVICE = 0o040755, 0o100000, 0o020600  # type and access bits
LZ4_LEGACY = b"\x02\x21\x4c\x18"


class Entry(NamedTuple):
    """A regular file: what is in it, and whether it may be executed."""

    data: bytes
    executable: bool = False


def archive(files: Mapping[str, Entry]) -> bytes:
    """The file system with these files, by path without a leading `/`, their folders, and /dev/console."""
    folders = {"dev", "proc", "sys", "tmp"}
    for path in files:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[: i + 1]) for i in range(len(parts))}
    out = bytearray()
    inode = 0

    def add(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        nonlocal inode
        inode += 1
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name.encode()) + 1, 0)
        for piece in (b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0", data):
            out.extend(piece)
            out.extend(bytes(-len(out) % 4))

    for folder in sorted(folders):
        add(folder, DIRECTORY)
    add("dev/console", DEVICE, device=(5, 1))
    for path in sorted(files):
        add(path, FILE | (0o755 if files[path].executable else 0o644), files[path].data)
    add("TRAILER!!!", 0)
    return bytes(out)


def uncompressed_kernel(image: bytes) -> bytes:
    """The ELF executable in a bzImage. Raises `Failure` for what is no bzImage, or is packed as we cannot unpack."""
    if image[:4] == b"\x7fELF":
        return image
    if image[0x202:0x206] != b"HdrS":
        raise Failure("the Linux kernel is neither a bzImage nor an ELF executable")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    packed = image[start : start + length - 4]  # the last four bytes say how long it will be
    if packed[:4] == LZ4_LEGACY:
        kernel = b"".join(_lz4_blocks(packed))
    elif packed[:2] == b"\x1f\x8b":
        kernel = gzip.decompress(packed)
    elif packed[:5] == b"\xfd7zXZ":
        kernel = lzma.decompress(packed)
    else:
        raise Failure(
            f"the Linux kernel is packed in a way that is not known: {packed[:4].hex()}", "use an ELF vmlinux"
        )
    if kernel[:4] != b"\x7fELF":
        raise Failure("what was packed in the bzImage is no ELF executable")
    return kernel


def _lz4_blocks(packed: bytes) -> list[bytes]:
    """The blocks of LZ4's legacy frame (lz4_Frame_format.md): a magic number, then lengths and blocks."""
    place, found = 4, []
    while place + 4 <= len(packed):
        length = int.from_bytes(packed[place : place + 4], "little")
        found.append(_lz4_block(packed[place + 4 : place + 4 + length]))
        place += 4 + length
    return found


def _lz4_length(block: bytes, place: int, length: int) -> tuple[int, int]:
    """A length of which four bits are known, and where what is behind it begins: 15 goes on, as does each byte of 255."""
    more = 255 if length == 15 else 0
    while more == 255:
        more = block[place]
        place += 1
        length += more
    return length, place


def _lz4_block(block: bytes) -> bytes:
    """One block (lz4_Block_format.md): literals and copies of what was before, in turn."""
    out = bytearray()
    place, end = 0, len(block)
    while place < end:
        token = block[place]
        place += 1
        length, place = _lz4_length(block, place, token >> 4)
        out += block[place : place + length]
        place += length
        if place >= end:  # the last sequence has no copy
            break
        distance = block[place] | block[place + 1] << 8
        place += 2
        length, place = _lz4_length(block, place, token & 15)
        length += 4
        start = len(out) - distance
        if distance >= length:
            out += out[start : start + length]
        else:  # it overlaps itself: a repetition
            out += (out[start:] * (length // distance + 1))[:length]
    return bytes(out)
