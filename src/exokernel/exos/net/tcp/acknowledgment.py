# SPDX-License-Identifier: MIT
"""What an acknowledgment does to what is under way (RFC 9293 section 3.10.7.4, fifth), and the peer's window."""

from exokernel.exos.net.tcp import congestion, recovery, roundtrip, segment
from exokernel.exos.net.tcp.connection import NEVER, NONE, Connection, Host
from exokernel.exos.net.tcp.deadlines import due_again, wait_out
from exokernel.exos.net.tcp.segment import Arrival, Flag
from exokernel.exos.net.tcp.states import AFTER_ACKNOWLEDGED, State
from exokernel.exos.net.tcp.table import forget_received, put_buffer, release
from exokernel.metal import Span, u8, u32, u64


def acknowledge(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> None:
    """What an acceptable acknowledgment does to what is under way."""
    acknowledgment = arrival.acknowledgment
    window = arrival.window << connection.send_scale
    usual = segment.HEADER + segment.STAMPS_LENGTH if connection.stamped else u64(segment.HEADER)
    news = False
    if connection.selective and arrival.options > usual:
        news = recovery.note_sacked(connection, segment.find_blocks(packet[segment.HEADER : arrival.options]))
    if acknowledgment.after(connection.unacknowledged):
        generation = connection.generation
        advance(host, connection, arrival, now)
        if connection.generation != generation:
            return
    elif acknowledgment == connection.unacknowledged:
        if window == 0:
            connection.attempts = 0  # it is there, and may keep us waiting (RFC 9293 section 3.8.6.1)
        # A duplicate is without data and a new window (RFC 5681 section 2), or says what arrived (RFC 6675 section 2).
        bare = arrival.start == arrival.end and arrival.flags & Flag.FIN == 0 and window == connection.window
        if (bare or news) and window != 0 and connection.highest != connection.unacknowledged:
            recovery.duplicate(host, connection, now)
    else:
        return
    older = connection.window_sequence.after(arrival.sequence)
    same = connection.window_sequence == arrival.sequence
    if not older and not (same and connection.window_acknowledgment.after(acknowledgment)):
        was_closed = connection.window == 0
        take_window(connection, arrival, window)
        if was_closed and window != 0:
            connection.next = connection.unacknowledged  # what probed the window may have been thrown away
            connection.retransmit_at = NEVER
            connection.attempts = 0
            roundtrip.set_timeout(host, connection)


def advance(host: Host, connection: Connection, arrival: Arrival, now: u64) -> None:
    """Something new is acknowledged. The connection may be gone afterwards."""
    acknowledgment = arrival.acknowledgment
    count = acknowledgment.since(connection.unacknowledged)
    data = min(count, connection.send_length)
    fin = count > data
    connection.send_start += data
    if connection.send_start >= host.buffer_size:
        connection.send_start -= host.buffer_size
    connection.send_length -= data
    connection.unacknowledged = acknowledgment
    if connection.next.before(acknowledgment):
        connection.next = acknowledgment
    connection.attempts = 0
    connection.progress_at = now
    if connection.stamped:
        if arrival.echoes:
            flight = connection.highest.since(acknowledgment) + count
            roundtrip.measure_by_stamp(host, connection, arrival.echo, flight, now)
    elif connection.timing and not acknowledgment.before(connection.timed):
        connection.timing = False
        roundtrip.measure(host, connection, now - connection.timed_at, 1)
    recovery.forget_sacked(connection)
    if connection.recovering:
        recovery.progress(host, connection, data, now)
    else:
        congestion.acknowledged(connection, data, 4 * host.buffer_size)
    connection.duplicates = 0
    if connection.unacknowledged == connection.highest:
        connection.retransmit_at = NEVER
    else:
        due_again(host, connection, now)
    if connection.send_length == 0 and connection.send_buffer != NONE:
        put_buffer(host, connection.send_buffer)
        connection.send_buffer = NONE
    if not fin:
        return
    if connection.state == State.LAST_ACK:
        connection.deaf = True
        release(host, connection)
        return
    connection.state = AFTER_ACKNOWLEDGED[connection.state]
    if connection.state == State.TIME_WAIT:
        wait_out(host, connection, now)
        connection.deaf = True
        forget_received(host, connection)


def take_window(connection: Connection, arrival: Arrival, window: u32) -> None:
    """RFC 9293 section 3.10.7.4: the newest segment says what the peer has room for."""
    connection.window = window
    connection.largest_window = max(connection.largest_window, window)
    connection.window_sequence = arrival.sequence
    connection.window_acknowledgment = arrival.acknowledgment
