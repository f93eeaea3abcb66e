# SPDX-License-Identifier: MIT
"""What is lost, and what is sent again: after duplicate acknowledgments (RFC 5681 section 3.2, RFC 6582), by what the
peer says that it has (RFC 2018), after a time-out (RFC 6298 section 5), and into a closed window (RFC 9293 section
3.8.6.1). How much may be under way then is not decided here (`congestion`).
"""

from exokernel.exos.net.tcp import congestion, roundtrip, runs, segment
from exokernel.exos.net.tcp.congestion import DUPLICATES
from exokernel.exos.net.tcp.connection import NEVER, Connection, Host
from exokernel.exos.net.tcp.deadlines import due_again
from exokernel.exos.net.tcp.segment import Flag
from exokernel.exos.net.tcp.sending import emit, push, send_syn
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.exos.net.tcp.states import State
from exokernel.exos.net.tcp.table import lose
from exokernel.metal import Span, noinline, u8, u32, u64, view

SYN_ATTEMPTS = 5
ATTEMPTS = 10  # of anything else, until the connection is given up


@noinline
def note_sacked(connection: Connection, blocks: Span[u8]) -> bool:
    """RFC 2018: the peer says what it has; whether that is more than was known. Only what was sent is believed; when
    there is no place, it is forgotten.
    """
    news = False
    for i in range(len(blocks) // segment.BLOCK):
        block = view(segment.Block, blocks, i * segment.BLOCK)
        start = Sequence(block.start)
        end = Sequence(block.end)
        if start.before(end) and start.after(connection.unacknowledged) and not end.after(connection.highest):
            if not runs.has(connection.sacked, start, end):
                news = runs.add(connection.sacked, start, end) or news
    return news


def forget_sacked(connection: Connection) -> None:
    """Of what is acknowledged anyway."""
    sacked = connection.sacked
    while sacked.count != 0 and not sacked.row[0].end.after(connection.unacknowledged):
        runs.drop_first(sacked)


@noinline
def duplicate(host: Host, connection: Connection, now: u64) -> None:
    """The peer has got something, but not what comes next."""
    if connection.recovering:
        if not connection.selective or not resend(host, connection, now):
            congestion.left_the_network(connection)
        return
    if connection.duplicates == 0:
        connection.hole = connection.highest
    connection.duplicates = min(connection.duplicates + 1, DUPLICATES)
    if connection.duplicates < DUPLICATES or connection.unacknowledged.before(connection.recover):
        return
    # What left since the first duplicate does not count (RFC 5681 section 3.2, step 2).
    congestion.lost(connection, connection.hole.since(connection.unacknowledged))
    connection.recover = connection.highest
    connection.recovering = True
    connection.hole = connection.unacknowledged
    connection.timing = False
    resend(host, connection, now)
    due_again(host, connection, now)


@noinline
def progress(host: Host, connection: Connection, count: u32, now: u64) -> None:
    """In recovery, `count` bytes more are acknowledged: the end of it, or the next hole (RFC 6582 section 3.2)."""
    acknowledgment = connection.unacknowledged
    if acknowledgment.before(connection.recover):
        congestion.partly_recovered(connection, count)
        if not connection.selective or connection.hole.before(acknowledgment):
            connection.hole = acknowledgment
        resend(host, connection, now)
    else:
        connection.recovering = False
        congestion.recovered(connection, connection.highest.since(acknowledgment))


def resend(host: Host, connection: Connection, now: u64) -> bool:
    """Send the segment at `hole` again, or the first one behind it that is not known to have arrived; False if nothing
    is known to be missing.
    """
    at = connection.hole
    if at.before(connection.unacknowledged):
        at = connection.unacknowledged
    end = connection.unacknowledged.plus(connection.send_length)
    limit = end
    beyond = at == connection.unacknowledged  # something that did arrive lies behind it
    for i in range(connection.sacked.count):
        run = connection.sacked.row[i]
        if run.start.after(at):
            beyond = True
            if run.start.before(limit):
                limit = run.start
            break
        if at.before(run.end):
            at = run.end
    if not beyond or not at.before(connection.highest):
        return False
    count: u32 = 0
    after = end.plus(1)
    flags: u8 = Flag.ACK
    if at.before(end):
        count = min(limit.since(at), connection.segment_size)
        after = at.plus(count)
        if after == end:
            flags |= Flag.PSH
    else:  # only the FIN is left
        flags |= Flag.FIN
    if emit(host, connection, flags, at, at.since(connection.unacknowledged), count, now):
        host.retransmitted += 1
        connection.hole = after
    return True


def retransmit(host: Host, connection: Connection, now: u64) -> None:
    """Nothing was heard of what was sent (RFC 6298 section 5), or the peer's window is closed."""
    opening = connection.state < State.ESTABLISHED
    if connection.attempts >= (SYN_ATTEMPTS if opening else ATTEMPTS):
        lose(host, connection)
        return
    connection.attempts += 1
    roundtrip.back_off(host, connection)
    connection.retransmit_at = NEVER
    connection.timing = False
    if opening:
        host.retransmitted += 1
        send_syn(host, connection, now)
        return
    if connection.window < min(connection.send_length, connection.segment_size):
        probe(host, connection, now)
        return
    congestion.timed_out(
        connection, connection.highest.since(connection.unacknowledged), first=connection.attempts == 1
    )
    connection.recover = connection.highest
    connection.recovering = False
    connection.duplicates = 0
    connection.sacked.count = 0  # RFC 2018 section 8: the peer may have forgotten it
    connection.next = connection.unacknowledged
    push(host, connection, now)


def probe(host: Host, connection: Connection, now: u64) -> None:
    """Send one byte, whose acknowledgment tells the window (RFC 9293 section 3.8.6.1); or what little there is room
    for.
    """
    count = max(min(connection.window, connection.segment_size, connection.send_length), 1)
    emit(host, connection, Flag.ACK, connection.unacknowledged, 0, count, now)
    connection.next = connection.unacknowledged.plus(min(count, connection.window))
    if connection.highest == connection.unacknowledged:
        connection.highest = connection.unacknowledged.plus(count)
    due_again(host, connection, now)
