# SPDX-License-Identifier: MIT
"""Segments that leave (RFC 9293 section 3.8): what may be sent is, with an acknowledgment; who is owed one and gets no
data gets it alone. What is sent a second time, `recovery` decides.
"""

from exokernel.exos.net.tcp import congestion, segment
from exokernel.exos.net.tcp.connection import NEVER, Connection, Host
from exokernel.exos.net.tcp.deadlines import due, due_again
from exokernel.exos.net.tcp.roundtrip import stamp_of
from exokernel.exos.net.tcp.runs import RUNS
from exokernel.exos.net.tcp.segment import Flag
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.exos.net.tcp.states import SEND, State, allows
from exokernel.exos.net.tcp.table import buffer_of
from exokernel.metal import inline, u8, u16, u32, u64, view

ACKNOWLEDGE = 25  # fraction of a second that an acknowledgment may wait for company (RFC 9293 section 3.8.6.3)
STAMPED_BLOCKS = 3  # runs that can be told beside timestamps


def settle(host: Host, connection: Connection, now: u64) -> None:
    """Send what may be sent, and an acknowledgment if one is owed and nothing carried it."""
    push(host, connection, now)
    if connection.must_acknowledge:
        if connection.acknowledge_now:
            acknowledge_bare(host, connection, now)
        elif connection.acknowledge_at == NEVER:
            due(host, connection, now + host.second // ACKNOWLEDGE)


@inline
def owe(connection: Connection) -> None:
    """The peer is to get an acknowledgment with the next `settle`."""
    connection.must_acknowledge = True
    connection.acknowledge_now = True


def push(host: Host, connection: Connection, now: u64) -> None:
    """Send as much as both windows allow."""
    if not allows(SEND, connection.state):
        return
    size = connection.segment_size
    length = connection.send_length
    if length == 0 and not connection.finishing:
        return
    if connection.highest == connection.unacknowledged and now - connection.sent_at > connection.timeout:
        congestion.rested(connection)
    allowed = min(congestion.allowed(connection), connection.window)
    while True:
        sent = connection.next.since(connection.unacknowledged)
        if sent > length:
            return  # the FIN as well
        unsent = length - sent
        space = allowed - sent if allowed > sent else 0
        count = min(unsent, size, space)
        fin = connection.finishing and count == unsent
        if count == 0 and not fin:
            break
        if count < size and not fin:
            if count < unsent:
                if sent != 0 or count < connection.largest_window // 2:
                    break  # RFC 9293 section 3.8.6.2.1: no crumbs
            elif sent != 0 and not connection.no_delay:
                break  # Nagle
        flags: u8 = Flag.ACK
        if fin:
            flags |= Flag.FIN
        if count == unsent and count != 0:
            flags |= Flag.PSH
        if not emit(host, connection, flags, connection.next, sent, count, now):
            break  # when the timer ends it is tried again
        again = connection.next.before(connection.highest)
        if again:
            host.retransmitted += 1
        connection.next = connection.next.plus(count + u32(fin))
        if connection.next.after(connection.highest):
            connection.highest = connection.next
            if not connection.timing and not again:
                connection.timing = True
                connection.timed = connection.next
                connection.timed_at = now
        if connection.retransmit_at == NEVER:
            due_again(host, connection, now)
    if connection.next == connection.unacknowledged and connection.retransmit_at == NEVER:
        due_again(host, connection, now)  # the window is closed: probe it; or the device had no room


def acknowledge_bare(host: Host, connection: Connection, now: u64) -> None:
    """An acknowledgment without data. Its number is one that the peer expects, also when what it got is sent again."""
    probing = connection.window == 0 and connection.state >= State.ESTABLISHED
    sequence = connection.next if probing else connection.highest
    if not emit(host, connection, Flag.ACK, sequence, 0, 0, now):
        due(host, connection, now + host.second // ACKNOWLEDGE)


def emit(
    host: Host, connection: Connection, flags: u8, sequence: Sequence, offset: u32, count: u32, now: u64
) -> bool:  # fmt: skip
    """Send one segment with `count` bytes from `offset` of what is unacknowledged. A bare acknowledgment tells what is
    held (RFC 2018). False if the device had no room for it, and then nothing has been sent.
    """
    start: u64 = segment.HEADER
    output = host.output()
    if connection.stamped:
        segment.write_stamps(output, start, stamp_of(host, connection, now), connection.recent)
        start += segment.STAMPS_LENGTH
    if count == 0 and connection.held.count != 0 and connection.selective:
        blocks = min(u64(connection.held.count), u64(STAMPED_BLOCKS) if connection.stamped else u64(RUNS))
        output[start] = segment.NOTHING
        output[start + 1] = segment.NOTHING
        output[start + 2] = segment.SELECTIVE
        output[start + 3] = u8(2 + segment.BLOCK * blocks)
        start += segment.BLOCKS_HEADER
        for i in range(blocks):  # first the run that grew last (RFC 2018 section 4)
            run = connection.held.row[connection.held.latest if i == 0 else i - u64(i <= connection.held.latest)]
            block = view(segment.Block, output, start)
            block.start = run.start.raw
            block.end = run.end.raw
            start += segment.BLOCK
    if count != 0:
        buffer = buffer_of(host, connection.send_buffer)
        at = u64(connection.send_start) + offset
        if at >= len(buffer):
            at -= len(buffer)
        first = min(u64(count), len(buffer) - at)
        output[start : start + first].copy_from(buffer[at : at + first])
        output[start + first : start + count].copy_from(buffer[: count - first])
        connection.sent_at = now
    window = min(connection.edge.since(connection.expected) >> connection.receive_scale, 0xFFFF)
    segment.write(
        output[: start + count], ports_of(connection), sequence, connection.expected, start, flags, u16(window),
        host.address, connection.address,
    )  # fmt: skip
    if not host.transmit(connection.address, connection.station, start + count, now):
        return False
    connection.told = connection.expected
    connection.must_acknowledge = False
    connection.acknowledge_now = False
    connection.unanswered = 0
    if not connection.wants_room:
        connection.acknowledge_at = NEVER
    return True


@inline
def ports_of(connection: Connection) -> u32:
    """As `segment.write` wants them."""
    return (u32(connection.local_port) << 16) | connection.port


def send_syn(host: Host, connection: Connection, now: u64) -> None:
    """Send the first segment (again): a SYN, which acknowledges the peer's if that has come."""
    flags: u8 = Flag.SYN
    acknowledgment = Sequence(0)
    if connection.state == State.SYN_RECEIVED:
        flags |= Flag.ACK
        acknowledgment = connection.expected
    output = host.output()
    end = segment.HEADER + segment.write_syn_options(
        output[segment.HEADER :],
        connection.receive_scale if connection.scaled else u8(segment.NO_SCALE),
        connection.selective,
    )
    if connection.stamped:
        segment.write_stamps(output, end, stamp_of(host, connection, now), connection.recent)
        end += segment.STAMPS_LENGTH
    segment.write(
        output[:end], ports_of(connection), connection.unacknowledged, acknowledgment, end, flags, first_window(host),
        host.address, connection.address,
    )  # fmt: skip
    host.transmit(connection.address, connection.station, end, now)
    if connection.retransmit_at == NEVER:
        connection.timing = connection.attempts == 0  # Karn: only what was sent once is measured
        connection.timed = connection.highest
        connection.timed_at = now
        due_again(host, connection, now)
    else:
        connection.timing = False


@inline
def first_window(host: Host) -> u16:
    """That of a SYN, which is never scaled (RFC 7323 section 2.2)."""
    return u16(min(host.buffer_size, 0xFFFF))


def send_reset(
    host: Host, station: u64, address: u32, ports: u32, flags: u8, sequence: Sequence, acknowledgment: Sequence,
    now: u64,
) -> None:  # fmt: skip
    """A reset that tells nothing of a connection's state: the answer to what makes no sense here."""
    segment.write(
        host.output()[: segment.HEADER], ports, sequence, acknowledgment, segment.HEADER, flags, 0, host.address,
        address,
    )  # fmt: skip
    host.transmit(address, station, segment.HEADER, now)
