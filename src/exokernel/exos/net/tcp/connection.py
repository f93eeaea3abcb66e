# SPDX-License-Identifier: MIT
"""What TCP knows: the row of a connection, and the host whose rows they are. Nothing is done here."""

from collections.abc import Callable
from enum import IntEnum

from exokernel.exos.net.tcp.runs import Runs
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.metal import Array, Ptr, Span, struct, u8, u16, u32, u64

NEVER = 0xFFFF_FFFF_FFFF_FFFF
NONE = 0xFFFF  # no row, no buffer
LISTENERS = 16


class Event(IntEnum):
    """What a handler is called for."""

    OPENED = 0  # both sides have agreed; `write` worked before already
    READABLE = 1  # there is something new for `arrived`
    WRITABLE = 2  # a `write` took less than it was given, and now there is room
    END = 3  # the peer sends no more; what has arrived can be read, and one can still write
    LOST = 4  # reset by the peer, or given up after too long a silence


@struct
class Connection:
    handler: Callable[["Connection", u8], None]
    user: u64  # the application's own
    station: u64  # where its segments go, as for `interface.send_ipv4`
    address: u32  # the peer's
    port: u16  # the peer's
    local_port: u16
    state: u8
    passive: bool  # it began with a listener
    finishing: bool  # a FIN goes behind the last byte
    deaf: bool  # the application has closed it: no more events, and what arrives is thrown away
    busy: bool  # inside `receive`, which sends when everything is known
    no_delay: bool  # without Nagle's algorithm (RFC 9293 section 3.7.4)
    must_acknowledge: bool  # at some time, with data or without
    acknowledge_now: bool
    generation: u32  # moves on when the row becomes free
    number: u16  # of the row
    chain: u16  # the next row in the same bucket, or the next free one
    bucket: u16  # the first row of the bucket that has this row's number

    # Sending
    unacknowledged: Sequence  # SND.UNA
    next: Sequence  # SND.NXT; after a timeout it goes back
    highest: Sequence  # one behind the last number ever sent
    window_sequence: Sequence  # SND.WL1
    window_acknowledgment: Sequence  # SND.WL2
    window: u32  # SND.WND
    largest_window: u32
    segment_size: u32
    send_start: u32  # of the first unacknowledged byte in the buffer, which is a ring
    send_length: u32
    send_buffer: u16
    send_scale: u8
    wants_room: bool
    scaled: bool  # both sides know window scaling

    # Timestamps (RFC 7323 section 3)
    stamped: bool  # both sides send them
    stamp_offset: u32  # of our clock on this connection
    recent: u32  # TS.Recent: of the peer's
    told: Sequence  # Last.ACK.sent

    # Congestion
    congestion: u32  # the window
    threshold: u32  # of slow start
    recover: Sequence  # RFC 6582: what was sent when the loss was seen
    hole: Sequence  # what to send again next; before that, `highest` at the first duplicate
    recovering: bool
    duplicates: u8
    selective: bool  # both sides know selective acknowledgments
    sacked: Runs  # of bytes that have arrived there, and what precedes them has not

    # Receiving
    expected: Sequence  # RCV.NXT
    edge: Sequence  # the end of the window that the peer knows
    arrived_at: u64  # address of the bytes not yet consumed: in the buffer, or still in the frame
    arrived_length: u32
    receive_buffer: u16
    receive_scale: u8
    held_end: bool  # the last number that is held is the peer's FIN
    held: Runs  # in the buffer behind what has arrived
    unanswered: u32  # bytes received and not acknowledged

    # Time
    retransmit_at: u64
    acknowledge_at: u64
    idle_at: u64
    heard_at: u64  # the last segment
    progress_at: u64  # the last byte that got through, in either direction
    sent_at: u64
    timed_at: u64
    timed: Sequence  # an acknowledgment of this one measures the round trip
    timing: bool
    measured: bool
    attempts: u8
    probes: u8
    smoothed: u64  # SRTT
    variation: u64  # RTTVAR
    timeout: u64  # RTO
    challenge_at: u64  # from when on a challenge may be sent again
    keep_alive: u32  # seconds of silence before the peer is asked; 0: never
    patience: u32  # seconds without progress before the connection is given up; 0: for ever


@struct
class Listener:
    port: u16  # 0: free
    handler: Callable[[Connection, u8], None]


@struct
class Host:
    address: u32
    second: u64  # in the clock's ticks
    next_deadline: u64  # when `tick` wants to run
    key0: u64  # secrets
    key1: u64
    connections: Span[Connection]
    free_row: u16
    free_buffer: u16
    half_open: u16  # rows in SYN_RECEIVED
    hand: u16  # where the search for a row that only waits goes on
    last_port: u16
    buffer_size: u32
    shortest_timeout: u64  # in the clock's ticks, as the next
    longest_timeout: u64
    stamp_shift: u8  # from the clock to timestamps of 1 ms or a little more
    buffers: Span[u8]
    listeners: Array[Listener, LISTENERS]
    cookies_until: u64  # when the last SYN cookie expires
    output: Callable[[], Span[u8]]  # where the next segment is built: at least 1,480 bytes
    transmit: Callable[[u32, u64, u64, u64], bool]  # address, station, length, now
    opened: u64
    retransmitted: u64
    lost: u64
    cookies: u64


def ignore(connection: Connection, event: u8) -> None:
    """Stands where nobody listens."""


def nowhere(address: u32, station: u64, length: u64, now: u64) -> bool:
    """Stands where no network is."""
    return False


def no_place() -> Span[u8]:
    """The same."""
    return Span[u8](Ptr[u8](0), 0)


def new() -> Host:
    """For the initial value of a module variable; runs when the image is built."""
    return Host(
        listeners=Array[Listener, LISTENERS]([Listener(0, ignore) for _ in range(LISTENERS)]),
        output=no_place,
        transmit=nowhere,
    )


def new_connection() -> Connection:
    """The same for an element of a table of connections."""
    return Connection(ignore)
