# SPDX-License-Identifier: MIT
"""Looking at the wire: a ring that gets copies of all frames, whoever they are for, and the file format that tcpdump and
its relatives read ("pcap", with nanoseconds; draft-ietf-opsawg-pcap). Nothing is taken from anybody by it. Who looks on
too slowly misses frames; `ring.indices.dropped` counts them.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Kind
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Span, addr, compiler_barrier, struct, u8, u32, u64, view

NAME = Kind.CAPTURE << abi.NAME_INDEX_BITS
FILE_HEADER = 24  # bytes
RECORD_HEADER = 16
LARGEST_RECORD = RECORD_HEADER + 2040
SECOND = 1_000_000_000  # ns


@struct(packed=True)
class RecordHeader:
    seconds: u32
    nanoseconds: u32
    kept: u32
    length: u32


# Magic number, version, time zone, accuracy, longest frame, kind of link (Ethernet).
_WORDS = ((0xA1B2_3C4D, 4), (2, 2), (4, 2), (0, 4), (0, 4), (2040, 4), (1, 4))
HEADER = b"".join(number.to_bytes(size, "little") for number, size in _WORDS)
ring: abi.ReceiveRing = abi.ReceiveRing()


def start(slot: u64) -> bool:
    """Look on from now on; `slot` binds the right to. False if the kernel refuses, as `capture_bind` says."""
    return aegis.capture_bind(u64(addr(ring)), slot) == 0


def take(slot: u64, rights: u64) -> bool:
    """Bind the right to capture in a free slot. Only environment 0 can do that; others are given a capability."""
    mac = aegis.capability_mint(NAME, rights)
    return mac >= 0 and aegis.bind(slot, NAME, rights, u64(mac)) == 0


def begin(buffer: Span[u8]) -> u64:
    """Write what a file begins with into `buffer`. Returns its length, FILE_HEADER."""
    buffer[:FILE_HEADER].copy_from(HEADER)
    return FILE_HEADER


def next(buffer: Span[u8]) -> u64:
    """Write the next frame into `buffer`, of LARGEST_RECORD bytes, as a file has it: when it passed, since the machine was
    started, if that was less than 2**32 ticks of the clock ago. Returns how many bytes; 0: there is none yet.
    """
    consumer = ring.indices.consumer
    if ring.indices.producer == consumer:
        return 0
    compiler_barrier()
    slot = ring.slots[consumer % abi.RING_SLOTS]
    now = read_timestamp()
    passed = now - (u32(now) - slot.tag)
    second = aegis.system_page().timestamp_frequency
    record = view(RecordHeader, buffer)
    record.seconds = u32(passed // second)
    record.nanoseconds = u32(passed % second * SECOND // second)
    record.kept = slot.length
    record.length = slot.length
    end = RECORD_HEADER + u64(slot.length)
    buffer[RECORD_HEADER:end].copy_from(slot.data[: slot.length])
    compiler_barrier()
    ring.indices.consumer = consumer + 1
    return end
