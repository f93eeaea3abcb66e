# SPDX-License-Identifier: MIT
"""The memory behind the dialect's objects when CPython runs them: flat, byte-exact, at made-up addresses.

Every object is a region of its own with a gap after it, so a pointer that runs off its object meets nothing and fails.
Functions have addresses too. Nothing here knows types; it must never hand out bytes that belong to no object.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right, insort
from collections.abc import Callable
from typing import Any

FIRST_ADDRESS = 0x10_0000_0000
FIRST_FUNCTION = 0x8_0000_0000
FUNCTION_STEP = 16
GAP = 64
PAGE = 4096


class Region:
    """The bytes of one object. They exist from the first touch on; until then they are zero."""

    __slots__ = ("__weakref__", "_data", "base", "read_only", "size")

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.read_only = False
        self._data: bytearray | None = None

    @property
    def data(self) -> bytearray:
        """The content, to be read; `write` changes it."""
        if self._data is None:
            self._data = bytearray(self.size)
        return self._data

    @property
    def touched(self) -> bool:
        """Whether the content may differ from zero."""
        return self._data is not None

    def write(self, offset: int, content: bytes | bytearray) -> None:
        if self.read_only:
            raise MemoryError(f"the object at {self.base + offset:#x} is read-only")
        self.data[offset : offset + len(content)] = content


class VariableRegion(Region):
    """A scalar module variable that lives in its module's namespace; its bytes are made when asked for."""

    __slots__ = ("_load", "_store")

    def __init__(self, base: int, size: int, load: Callable[[], bytes], store: Callable[[bytes], None]) -> None:
        super().__init__(base, size)
        self._load, self._store = load, store

    @property
    def data(self) -> bytearray:
        return bytearray(self._load())

    def write(self, offset: int, content: bytes | bytearray) -> None:
        whole = self.data
        whole[offset : offset + len(content)] = content
        self._store(bytes(whole))


_next_address = FIRST_ADDRESS
_bases: list[int] = []
_regions: dict[int, weakref.ref[Region]] = {}
_pinned: dict[int, Region] = {}
_literals: dict[bytes, Region] = {}
_functions: dict[int, Any] = {}
_function_addresses: dict[Any, int] = {}


def _reserve(size: int, align: int) -> int:
    """The address of a new object; addresses are never used again."""
    global _next_address
    align = max(align, PAGE if size >= PAGE else 16)
    base = -(-_next_address // align) * align
    _next_address = base + size + GAP
    return base


def _enter(region: Region) -> Region:
    base = region.base

    def forget(_: object) -> None:
        del _regions[base]
        del _bases[bisect_right(_bases, base) - 1]

    _regions[base] = weakref.ref(region, forget)
    insort(_bases, base)
    return region


def move(region: Region, align: int) -> None:
    """Give a region another address, before anybody has written the old one down."""
    del _regions[region.base]
    del _bases[bisect_right(_bases, region.base) - 1]
    region.base = _reserve(region.size, align)
    _enter(region)


def allocate(size: int, align: int = 1) -> Region:
    """Zeroed memory for one object. It ends when nothing refers to the region any more."""
    return _enter(Region(_reserve(size, align), size))


def allocate_variable(size: int, align: int, load: Callable[[], bytes], store: Callable[[bytes], None]) -> Region:
    """An address for a scalar variable that is kept elsewhere."""
    region = _enter(VariableRegion(_reserve(size, align), size, load, store))
    pin(region)
    return region


def pin(region: Region) -> None:
    """Keep the region for good: its address was written down as a number."""
    _pinned[region.base] = region


def find(address: int, size: int = 1) -> tuple[Region, int]:
    """The region that holds `size` bytes at `address`, and the offset in it. MemoryError if there is none."""
    position = bisect_right(_bases, address) - 1
    region = _regions[_bases[position]]() if position >= 0 else None
    if region is None or address + size > region.base + region.size:
        raise MemoryError(f"no object has {size} bytes at {address:#x}")
    return region, address - region.base


def literal(content: bytes) -> Region:
    """Read-only memory with this content; the same for equal contents."""
    region = _literals.get(content)
    if region is None:
        region = _literals[content] = allocate(len(content))
        if content:
            region.write(0, content)
        region.read_only = True
    return region


def function_address(function: Any) -> int:
    """The address of a function; 0 for None."""
    if function is None:
        return 0
    address = _function_addresses.get(function)
    if address is None:
        address = _function_addresses[function] = FIRST_FUNCTION + FUNCTION_STEP * len(_functions)
        _functions[address] = function
    return address


def function_at(address: int) -> Any:
    """The function at an address; None at 0. MemoryError if there is none."""
    if address == 0:
        return None
    function = _functions.get(address)
    if function is None:
        raise MemoryError(f"no function is at {address:#x}")
    return function
