# SPDX-License-Identifier: MIT
"""Packet filters as Python expressions, evaluated while the image is built: this module is never compiled into one.

    ECHO: Final[Array[Atom, packets.ATOMS]] = packets.atoms((ip.destination == "10.0.0.2") & (udp.destination == 7))

A field of a layer implies the layer: `udp.destination == 7` asks also for IPv4, its version, its protocol and the first
fragment, and counts behind an IPv4 header of any length. `field & mask` selects bits; an address may be a network,
"10.0.0.0/8". A filter is a conjunction, since the kernel compares conjunctions to see that nobody takes another's frames:
for alternatives bind one filter each. `pcap` takes an expression of libpcap's instead and gives one filter for each of
its alternatives.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from exokernel.aegis.abi import FILTER_ATOMS as ATOMS
from exokernel.aegis.abi import TRANSMIT_LIMIT, Atom, AtomKind
from exokernel.metal import Array

IP_HEADER = 14  # where the header begins whose length the transport layers are behind

NO_NEGATION = "a filter cannot ask for what must not be: bind one filter for each value that may be"


class FilterError(ValueError):
    """An expression that is no filter; says why."""


@dataclass(frozen=True)
class Test:
    """field & mask == value; `behind`: the offset counts behind the IPv4 options."""

    behind: bool
    offset: int
    width: int
    mask: int
    value: int

    def parts(self) -> Iterator[Test]:
        """The same in fields that the kernel knows."""
        if self.width in (8, 16, 32):
            yield self
            return
        rest = self.width - 32  # a station's address: 32 bits and the 16 behind
        low = (1 << rest) - 1
        yield replace(self, width=32, mask=self.mask >> rest, value=self.value >> rest)
        yield replace(self, offset=self.offset + 4, width=rest, mask=self.mask & low, value=self.value & low)

    def bits(self) -> dict[int, int]:
        """What each bit must be, by its number from the first."""
        places = [i for i in range(self.width) if self.mask >> (self.width - 1 - i) & 1]
        return {8 * self.offset + i: self.value >> (self.width - 1 - i) & 1 for i in places}


@dataclass(frozen=True, eq=False)
class Filter:
    """A conjunction. `a & b` is one of both."""

    tests: tuple[Test, ...] = ()

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            raise FilterError(f"{other!r} is no condition: write (field == value) & ..., with the parentheses")
        return Filter(tuple(dict.fromkeys(self.tests + other.tests)))

    def __or__(self, other: object) -> NoReturn:
        raise FilterError("a filter is a conjunction: bind one filter for each alternative")

    def __invert__(self) -> NoReturn:
        raise FilterError(NO_NEGATION)

    def __bool__(self) -> NoReturn:
        raise FilterError("join conditions with &, not with `and`, `or`, `not` or a chain of comparisons")


@dataclass(frozen=True, eq=False)
class Field:
    """Bits of a frame, and what must be so for them to be there."""

    offset: int
    width: int
    implied: Filter = Filter()
    behind: bool = False
    mask: int = -1

    def __and__(self, mask: int) -> Field:
        return replace(self, mask=self.mask & mask)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        full = self.mask & (1 << self.width) - 1
        if isinstance(value, str):
            value, narrower = _address(value, self.width)
            full &= narrower
        if not isinstance(value, int) or value & ~full or value < 0:
            raise FilterError(f"{value!r} is no value of {self.width} bits under the mask {full:#x}")
        return self.implied & Filter((Test(self.behind, self.offset, self.width, full, value),))

    def __ne__(self, value: object) -> NoReturn:
        raise FilterError(NO_NEGATION)

    __hash__ = None


def _address(text: str, width: int) -> tuple[int, int]:
    """Value and mask of an address or a network."""
    try:
        if width == 48:
            return int(bytes.fromhex(text.replace(":", "")).hex(), 16), (1 << 48) - 1
        network = ipaddress.IPv4Network(text)
        if width != 32:
            raise ValueError
        return int(network.network_address), int(network.netmask)
    except ValueError as error:
        raise FilterError(f"{text!r} is no address of {width} bits{f': {error}' if str(error) else ''}") from None


class ethernet:
    destination = Field(0, 48)
    source = Field(6, 48)
    kind = Field(12, 16)


_ARP = ethernet.kind == 0x0806
_IP = (ethernet.kind == 0x0800) & (Field(14, 8) & 0xF0 == 0x40)


class arp:
    operation = Field(20, 16, _ARP)
    sender = Field(28, 32, _ARP)
    target = Field(38, 32, _ARP)


class ip:
    service = Field(15, 8, _IP)
    fragment = Field(20, 16, _IP)
    protocol = Field(23, 8, _IP)
    source = Field(26, 32, _IP)
    destination = Field(30, 32, _IP)


def _first_of(protocol: int) -> Filter:
    return (ip.protocol == protocol) & (ip.fragment & 0x1FFF == 0)


class icmp:
    kind = Field(14, 8, _first_of(1), True)
    code = Field(15, 8, _first_of(1), True)


class tcp:
    source = Field(14, 16, _first_of(6), True)
    destination = Field(16, 16, _first_of(6), True)
    flags = Field(27, 8, _first_of(6), True)


class udp:
    source = Field(14, 16, _first_of(17), True)
    destination = Field(16, 16, _first_of(17), True)


def field(offset: int, width: int) -> Field:
    """Any 8, 16 or 32 bits, by their place in the frame."""
    if width not in (8, 16, 32):
        raise FilterError(f"there is no field of {width} bits: 8, 16 or 32")
    return Field(offset, width)


everything = Filter()


def listed(filter: Filter) -> list[Atom]:
    """A filter's atoms, as the kernel takes them. Errors: contradictions, too many, out of range."""
    tests = [part for test in filter.tests for part in test.parts() if part.mask]
    known: dict[tuple[bool, int], int] = {}
    for test in tests:
        if not 0 <= test.offset <= TRANSMIT_LIMIT - test.width // 8:
            raise FilterError(f"there is no field of {test.width} bits at byte {test.offset}")
        for place, bit in test.bits().items():
            if known.setdefault((test.behind, place), bit) != bit:
                raise FilterError(
                    f"no frame matches: bit {place % 8} of byte {place // 8} would have to be both 0 and 1"
                )
    made = [_atom(test) for test in tests if not test.behind]
    behind = [_atom(test) for test in tests if test.behind]
    if behind:
        made.append(Atom(offset=IP_HEADER, width=8, kind=AtomKind.SHIFT, mask=15, value=2))
    if len(made + behind) > ATOMS:
        raise FilterError(f"{len(made + behind)} atoms; a filter has at most {ATOMS}")
    return made + behind


def atoms(filter: Filter) -> Array[Atom, ATOMS]:
    """The same as an array of the dialect; only the first `len(listed(filter))` of it are the filter's."""
    result = Array[Atom, ATOMS]()
    for place, atom in zip(result, listed(filter), strict=False):
        place.copy_from(atom)
    return result


def _atom(test: Test) -> Atom:
    return Atom(offset=test.offset, width=test.width, kind=AtomKind.COMPARE, mask=test.mask, value=test.value)


# ---- expressions of libpcap's (pcap-filter(7))


def pcap(expression: str) -> list[Filter]:
    """One filter for each of the alternatives, which together match what the expression does. Errors: libpcap is not
    installed or does not understand the expression, or it asks for something that is not of the form
    field & mask == value.
    """
    return from_bpf(_compile(expression))


def _compile(expression: str) -> list[tuple[int, int, int, int]]:
    """The instructions (opcode, jump if true, jump if false, constant) that libpcap makes for Ethernet."""

    class Instruction(ctypes.Structure):
        _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint32))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(Instruction)))

    name = ctypes.util.find_library("pcap")
    if name is None:
        raise FilterError("libpcap is not installed (Debian: libpcap0.8)")
    library = ctypes.CDLL(name)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.pcap_open_dead(1, 0xFFFF))  # DLT_EN10MB
    program = Program()
    try:
        if library.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, 0xFFFF_FFFF):
            raise FilterError(f"{expression!r}: {library.pcap_geterr(handle).decode()}")
        found = [program.instructions[i] for i in range(program.length)]
        result = [(int(i.code), int(i.yes), int(i.no), int(i.k)) for i in found]
        library.pcap_freecode(ctypes.byref(program))
        return result
    finally:
        library.pcap_close(handle)


LOADS = {0x20: (32, False), 0x28: (16, False), 0x30: (8, False), 0x40: (32, True), 0x48: (16, True), 0x50: (8, True)}
JUMP, IF_EQUAL, IF_SET, AND, RETURN, HEADER_LENGTH = 0x05, 0x15, 0x45, 0x54, 0x06, 0xB1


def from_bpf(program: list[tuple[int, int, int, int]]) -> list[Filter]:
    """The filters of a classic BPF program: what must be on each way to acceptance. What must not be there is left out,
    if the program accepts every frame of the filter nevertheless, perhaps by another way.
    """
    found = [wanted for accepted, wanted in _ways(program, frozenset()) if accepted]
    for wanted in found:
        if not all(accepted for accepted, _ in _ways(program, wanted)):
            raise FilterError("it asks for what must not be; a filter can only ask for what must be")
    least = [wanted for wanted in dict.fromkeys(found) if not any(other < wanted for other in found)]
    return [Filter(tuple(sorted(wanted, key=lambda test: (test.behind, test.offset)))) for wanted in least]


def _ways(program: list[tuple[int, int, int, int]], known: frozenset[Test]) -> list[tuple[bool, frozenset[Test]]]:
    """The ways through a program for frames that pass these tests: whether it accepts, and all tests that were passed."""
    found: list[tuple[bool, frozenset[Test]]] = []

    def follow(at: int, field: Field | None, header: bool, known: frozenset[Test], failed: frozenset[Test]) -> None:
        code, yes, no, k = program[at]
        at += 1
        if len(found) > 1000:
            raise FilterError("it has too many alternatives")
        if code == RETURN:
            found.append((k != 0, known))
        elif code == JUMP:
            follow(at + k, field, header, known, failed)
        elif code in LOADS:
            width, behind = LOADS[code]
            if behind and not header:
                raise FilterError("it counts from something that is not the IPv4 header's length")
            follow(at, Field(k, width, behind=behind), header, known, failed)
        elif code == HEADER_LENGTH and k == IP_HEADER:
            follow(at, field, True, known, failed)
        elif field is not None and code == AND:
            follow(at, field & k, header, known, failed)
        elif field is not None and code in (IF_EQUAL, IF_SET):
            tested, value = field, k
            if code == IF_SET:
                tested = field & k
                if k & k - 1:  # one of several bits: (field & k) == 0, the other way round
                    value, yes, no = 0, no, yes
            mask = tested.mask & (1 << tested.width) - 1
            test = Test(tested.behind, tested.offset, tested.width, mask, value)
            if not value & ~mask and test not in failed and not _contradict(known | {test}):
                follow(at + yes, field, header, known | {test}, failed)
            if test not in known:
                follow(at + no, field, header, known, failed | {test})
        else:
            raise FilterError(f"it computes something that no atom says (instruction {at - 1}, opcode {code:#x})")

    follow(0, None, False, known, frozenset())
    return found


def _contradict(tests: frozenset[Test]) -> bool:
    """Whether some bit would have to be both 0 and 1."""
    known: dict[tuple[bool, int], int] = {}
    return any(
        known.setdefault((test.behind, place), bit) != bit for test in tests for place, bit in test.bits().items()
    )
