# SPDX-License-Identifier: MIT
"""Segments that arrive (RFC 9293 section 3.10.7), in every state: which are answered, which change the state, and which
have an acknowledgment and data to be taken.
"""

from exokernel.exos.net.drop import Drop
from exokernel.exos.net.tcp import acceptance, congestion, cookies, roundtrip, segment
from exokernel.exos.net.tcp.acceptance import challenge
from exokernel.exos.net.tcp.acknowledgment import acknowledge, advance, take_window
from exokernel.exos.net.tcp.application import may_write
from exokernel.exos.net.tcp.connection import LISTENERS, NONE, Connection, Event, Host
from exokernel.exos.net.tcp.deadlines import wait_out
from exokernel.exos.net.tcp.opening import accept, initial_sequence, listener_of, take_options, take_peer  # fmt: skip
from exokernel.exos.net.tcp.reassembly import open_window, take_data
from exokernel.exos.net.tcp.segment import Arrival, Flag, Options
from exokernel.exos.net.tcp.sending import owe, ports_of, send_reset, send_syn, settle
from exokernel.exos.net.tcp.sequence import Sequence
from exokernel.exos.net.tcp.states import State
from exokernel.exos.net.tcp.table import find, lose, notify, release
from exokernel.metal import Span, u8, u32, u64, view


def receive(host: Host, station: u64, source: u32, packet: Span[u8], now: u64) -> u8:
    """Do what is to be done about one segment from `source`, which came from `station`. Whatever its bytes are, this
    returns: Drop.NONE, or why nothing came of it.
    """
    reason = segment.check(packet, source, host.address)
    if reason != Drop.NONE:
        return reason
    header = view(segment.Header, packet)
    arrival = Arrival(
        Sequence(header.sequence), Sequence(header.acknowledgment), header.window, header.flags, header.length(),
        header.length(), len(packet), 0, 0, False,
    )  # fmt: skip
    row = find(host, source, header.source_port, header.destination_port)
    if row != NONE:
        connection = host.connections[row]
        if connection.state != State.TIME_WAIT or not is_new_syn(connection, arrival):
            return arrive(host, connection, packet, arrival, now)
        release(host, connection)  # RFC 9293 section 3.6.1: an old connection makes place for a new one
    return arrive_unknown(host, station, source, packet, arrival, now)


def is_new_syn(connection: Connection, arrival: Arrival) -> bool:
    """Whether a segment in TIME-WAIT begins a new connection: its number is above all of the old one's."""
    return arrival.flags & (Flag.SYN | Flag.ACK | Flag.RST) == Flag.SYN and arrival.sequence.after(connection.expected)


def arrive_unknown(host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """A segment of no connection (RFC 9293 section 3.10.7.1 and 2)."""
    header = view(segment.Header, packet)
    if arrival.flags & Flag.RST:
        return Drop.TCP_PORT
    listener = listener_of(host, header.destination_port)
    if listener == LISTENERS:
        refuse(host, station, source, packet, arrival, now)
        return Drop.TCP_PORT
    options = segment.Options()
    segment.read_options(packet[segment.HEADER : arrival.options], options)
    if arrival.flags & Flag.ACK:
        if arrival.flags & Flag.SYN == 0 and now < host.cookies_until:
            return arrive_with_cookie(host, listener, station, source, packet, arrival, options, now)
        refuse(host, station, source, packet, arrival, now)
        return Drop.TCP_PORT
    if arrival.flags & (Flag.SYN | Flag.FIN) != Flag.SYN:
        return Drop.TCP_PORT
    sequence, offset = initial_sequence(host, source, header.source_port, header.destination_port, now)
    if cookies.wanted(host) or now < host.cookies_until:
        cookies.reduce(options)
        if cookies.wanted(host):
            if not cookies.can_keep(options):
                return Drop.TCP_MEMORY
            cookies.send(host, station, source, packet, arrival, options, now)
            return Drop.NONE
        # It may have got a cookie for the same SYN, and then must not find anything else.
        sequence, offset = cookies.for_syn(host, source, packet, arrival, options, now)
    row = accept(host, listener, station, source, packet, sequence, offset, arrival.sequence.plus(1), options, now)
    if row == NONE:
        return Drop.TCP_MEMORY
    take_window(host.connections[row], arrival, arrival.window)
    send_syn(host, host.connections[row], now)
    return Drop.NONE


def arrive_with_cookie(
    host: Host, listener: u64, station: u64, source: u32, packet: Span[u8], arrival: Arrival, options: Options, now: u64
) -> u8:
    """A segment of no connection that may bring a cookie back."""
    offset, ours = cookies.check(host, source, packet, arrival, options, now)
    if not ours:
        return Drop.TCP_SEQUENCE  # perhaps a later segment of a peer whose first one is still to come
    sequence = arrival.acknowledgment.minus(1)
    row = accept(host, listener, station, source, packet, sequence, offset, arrival.sequence, options, now)
    if row == NONE:
        return Drop.TCP_MEMORY
    return arrive(host, host.connections[row], packet, arrival, now)


def arrive(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """A segment of this connection, and what is sent because of it."""
    generation = connection.generation
    connection.busy = True
    reason = (
        arrive_opening(host, connection, packet, arrival, now)
        if connection.state == State.SYN_SENT
        else arrive_open(host, connection, packet, arrival, now)
    )
    if connection.generation == generation:
        if connection.wants_room and connection.send_length <= host.buffer_size // 2 and may_write(connection):
            connection.wants_room = False
            notify(connection, Event.WRITABLE)
    if connection.generation == generation:
        connection.busy = False
        open_window(host, connection)
        settle(host, connection, now)
    return reason


def arrive_opening(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """In SYN-SENT (RFC 9293 section 3.10.7.3)."""
    acknowledges = arrival.flags & Flag.ACK != 0
    if acknowledges and arrival.acknowledgment != connection.highest:
        if arrival.flags & Flag.RST == 0:
            reject(host, connection, arrival, now)
        return Drop.TCP_SEQUENCE
    if arrival.flags & Flag.RST:
        if not acknowledges:
            return Drop.TCP_SEQUENCE
        lose(host, connection)
        return Drop.NONE
    if arrival.flags & Flag.SYN == 0:
        return Drop.TCP_SEQUENCE
    options = segment.Options()
    segment.read_options(packet[segment.HEADER : arrival.options], options)
    arrival.echo = options.echo
    arrival.echoes = True
    take_options(connection, options)
    take_peer(host, connection, arrival.sequence.plus(1), options.largest)
    take_window(connection, arrival, arrival.window)
    if not acknowledges:  # both began at once
        connection.state = State.SYN_RECEIVED
        host.half_open += 1
        connection.attempts = 0
        send_syn(host, connection, now)
        return Drop.NONE
    owe(connection)
    arrival.sequence = arrival.sequence.plus(1)
    arrival.flags ^= Flag.SYN
    return opened(host, connection, packet, arrival, now)


def opened(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """Both have agreed: the segment acknowledges our SYN. What else it carries is taken too."""
    if connection.state == State.SYN_RECEIVED:
        host.half_open -= 1
    host.opened += 1
    connection.state = State.ESTABLISHED
    if connection.finishing:
        connection.state = State.FIN_WAIT_1
    connection.unacknowledged = arrival.acknowledgment
    attempts = connection.attempts
    advance(host, connection, arrival, now)
    if attempts != 0:
        roundtrip.begin_late(host, connection)
    if attempts > 1:
        congestion.begin_late(connection)
    generation = connection.generation
    notify(connection, Event.OPENED)
    if connection.generation != generation:
        return Drop.NONE
    return take_data(host, connection, packet, arrival, now)


def arrive_open(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """In every other state (RFC 9293 section 3.10.7.4, RFC 5961)."""
    opening = connection.state == State.SYN_RECEIVED
    if opening and arrival.flags & Flag.SYN and arrival.sequence.plus(1) == connection.expected:
        if arrival.flags & Flag.ACK == 0:
            if connection.stamped and segment.find_stamps(packet, arrival):
                if not acceptance.is_old(host, connection, arrival.stamp, now):
                    connection.recent = arrival.stamp
            send_syn(host, connection, now)  # our answer was lost
            return Drop.NONE
        arrival.flags ^= Flag.SYN  # both began at once, and the peer has heard us
        arrival.sequence = connection.expected

    if connection.stamped:
        reason = check_stamps(host, connection, packet, arrival, now)
        if reason != Drop.NONE:
            return reason

    syn = arrival.flags & Flag.SYN != 0
    fin = arrival.flags & Flag.FIN != 0
    length = u32(arrival.end - arrival.start) + u32(syn) + u32(fin)
    if not acceptance.fits(connection, arrival, length):
        if arrival.flags & Flag.RST:
            return Drop.TCP_SEQUENCE
        if connection.edge == connection.expected and arrival.sequence == connection.expected and not syn:
            arrival.end = arrival.start  # a probe of our closed window: its acknowledgment counts
            arrival.flags &= 0xFF ^ Flag.FIN
            owe(connection)
        else:
            if connection.state == State.TIME_WAIT and fin:
                wait_out(host, connection, now)
            if length > u32(syn):
                owe(connection)
            else:
                challenge(host, connection, now)
            return Drop.TCP_SEQUENCE

    if arrival.flags & Flag.RST:
        if connection.state == State.TIME_WAIT:
            return Drop.TCP_SEQUENCE  # RFC 1337
        if arrival.sequence != connection.expected:
            challenge(host, connection, now)
            return Drop.TCP_SEQUENCE
        lose(host, connection)
        return Drop.NONE
    if syn:
        challenge(host, connection, now)
        return Drop.TCP_SEQUENCE
    if arrival.flags & Flag.ACK == 0:
        return Drop.TCP_SEQUENCE
    connection.heard_at = now
    connection.probes = 0
    if opening:
        if arrival.acknowledgment != connection.highest:
            if now >= host.cookies_until:
                reject(host, connection, arrival, now)
            return Drop.TCP_SEQUENCE
        connection.recent = arrival.stamp
        arrival.echoes = now >= host.cookies_until  # the clock in a cookie is not exact
        take_window(connection, arrival, arrival.window << connection.send_scale)
        return opened(host, connection, packet, arrival, now)
    if not acceptance.acknowledges_possible(connection, arrival):
        challenge(host, connection, now)
        return Drop.TCP_SEQUENCE
    if connection.stamped and not arrival.sequence.after(connection.told):
        connection.recent = arrival.stamp  # it is the one to be echoed (RFC 7323 section 4.3)
    generation = connection.generation
    acknowledge(host, connection, packet, arrival, now)
    if connection.generation != generation:
        return Drop.NONE
    return take_data(host, connection, packet, arrival, now)


def check_stamps(host: Host, connection: Connection, packet: Span[u8], arrival: Arrival, now: u64) -> u8:
    """Read the timestamps of a segment and drop it if it has none or is an old duplicate (RFC 7323 sections 3.2, 5)."""
    arrival.echoes = segment.find_stamps(packet, arrival)
    if arrival.flags & Flag.RST:
        return Drop.NONE  # it counts as it is
    if not arrival.echoes:
        return Drop.TCP_SEQUENCE
    if not acceptance.is_old(host, connection, arrival.stamp, now):
        return Drop.NONE
    if arrival.start == arrival.end and arrival.flags & Flag.FIN == 0:
        challenge(host, connection, now)  # rarely: both sides might think so of each other
    else:
        owe(connection)
    return Drop.TCP_SEQUENCE


def reject(host: Host, connection: Connection, arrival: Arrival, now: u64) -> None:
    """The reset that answers an acknowledgment of what was not sent, while the connection opens."""
    send_reset(
        host, connection.station, connection.address, ports_of(connection), Flag.RST, arrival.acknowledgment,
        Sequence(0), now,
    )  # fmt: skip


def refuse(host: Host, station: u64, source: u32, packet: Span[u8], arrival: Arrival, now: u64) -> None:
    """The reset that answers a segment of no connection (RFC 9293 section 3.10.7.1)."""
    header = view(segment.Header, packet)
    ports = (u32(header.destination_port) << 16) | header.source_port
    sequence = Sequence(0)
    acknowledgment = Sequence(0)
    flags: u8 = Flag.RST
    if arrival.flags & Flag.ACK:
        sequence = arrival.acknowledgment
    else:
        flags |= Flag.ACK
        length = u32(arrival.end - arrival.start) + u32(arrival.flags & Flag.SYN != 0)
        acknowledgment = arrival.sequence.plus(length + u32(arrival.flags & Flag.FIN != 0))
    send_reset(host, station, source, ports, flags, sequence, acknowledgment, now)
