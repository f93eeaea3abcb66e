# SPDX-License-Identifier: MIT
"""DHCP for a client (RFC 2131, RFC 2132): the messages, and what each means for a lease. Pure: nothing is sent and no
clock is read here. `hosts.configure` is what an application calls.
"""

from enum import IntEnum

from exokernel.exos.net import ethernet
from exokernel.metal import Array, Span, struct, u8, u16be, u32, u32be, u64, view

CLIENT_PORT = 68
SERVER_PORT = 67
FIXED = 240  # bytes before the options, the cookie included
COOKIE = 0x6382_5363
LENGTH = 300  # of our messages: some relays want BOOTP's
BROADCAST_FLAG = 0x8000  # we cannot yet be reached otherwise

PAD, MASK, ROUTER, DNS, REQUESTED, LEASE, KIND, SERVER, WANTED, END = 0, 1, 3, 6, 50, 51, 53, 54, 55, 255


class Kind(IntEnum):
    NONE = 0
    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6


class State(IntEnum):
    SELECTING = 0
    REQUESTING = 1
    BOUND = 2


@struct(packed=True)
class Header:
    operation: u8
    hardware: u8
    hardware_length: u8
    hops: u8
    transaction: u32be
    seconds: u16be
    flags: u16be
    client: u32be
    yours: u32be
    next_server: u32be
    relay: u32be
    station: ethernet.Station
    rest_of_station: Array[u8, 10]
    names: Array[u8, 192]
    cookie: u32be


@struct(packed=True)
class Number:
    """Four bytes at any address."""

    value: u32be


@struct
class Lease:
    """What a client is told. Addresses are 0 when they are not."""

    state: u8
    transaction: u32
    station: u64
    address: u32
    server: u32
    mask: u32
    router: u32
    resolver: u32
    seconds: u32


def begin(lease: Lease, station: u64, transaction: u32) -> None:
    lease.state = State.SELECTING
    lease.transaction = transaction
    lease.station = station
    lease.address = 0


def write(message: Span[u8], lease: Lease) -> u64:
    """Write what the client says in its state into `message` (LENGTH bytes): DISCOVER, or REQUEST for what it was
    offered.
    """
    message[:LENGTH].fill(0)
    header = view(Header, message)
    header.operation = 1
    header.hardware = 1
    header.hardware_length = 6
    header.transaction = lease.transaction
    header.flags = BROADCAST_FLAG
    header.station.put(lease.station)
    header.cookie = COOKIE
    end: u64 = FIXED
    message[end] = KIND
    message[end + 1] = 1
    message[end + 2] = Kind.REQUEST if lease.state == State.REQUESTING else u8(Kind.DISCOVER)
    end += 3
    if lease.state == State.REQUESTING:
        end = put(message, end, REQUESTED, lease.address)
        end = put(message, end, SERVER, lease.server)
    message[end] = WANTED
    message[end + 1] = 3
    message[end + 2] = MASK
    message[end + 3] = ROUTER
    message[end + 4] = DNS
    message[end + 5] = END
    return LENGTH


def put(message: Span[u8], at: u64, option: u8, value: u32) -> u64:
    message[at] = option
    message[at + 1] = 4
    view(Number, message, at + 2).value = value
    return at + 6


def take(lease: Lease, message: Span[u8]) -> bool:
    """What a server says. True: the state has changed, so there is something to send, or the lease is BOUND."""
    if len(message) < FIXED:
        return False
    header = view(Header, message)
    if header.operation != 2 or header.cookie != COOKIE or header.transaction != lease.transaction:
        return False
    if header.station.number() != lease.station:
        return False
    told = Lease()
    kind = read_options(message[FIXED:], told)
    if kind == Kind.OFFER and lease.state == State.SELECTING and header.yours != 0 and told.server != 0:
        lease.address = header.yours
        lease.server = told.server
        lease.state = State.REQUESTING
        return True
    if lease.state != State.REQUESTING or told.server != lease.server:
        return False
    if kind == Kind.NAK:
        lease.state = State.SELECTING
        return True
    if kind != Kind.ACK or header.yours == 0:
        return False
    lease.address = header.yours
    lease.mask = told.mask if told.mask != 0 else 0xFFFF_FF00
    lease.router = told.router
    lease.resolver = told.resolver
    lease.seconds = told.seconds
    lease.state = State.BOUND
    return True


def read_options(data: Span[u8], told: Lease) -> u8:
    """Read what is known into `told`; the kind of the message. Of several routers or resolvers the first counts."""
    kind: u8 = Kind.NONE
    i: u64 = 0
    while i < len(data) and data[i] != END:
        if data[i] == PAD:
            i += 1
            continue
        if i + 2 > len(data) or i + 2 + data[i + 1] > len(data):
            break
        option = data[i]
        length = data[i + 1]
        if option == KIND and length == 1:
            kind = data[i + 2]
        elif length >= 4:
            value = view(Number, data, i + 2).value
            if option == MASK:
                told.mask = value
            elif option == ROUTER:
                told.router = value
            elif option == DNS:
                told.resolver = value
            elif option == SERVER:
                told.server = value
            elif option == LEASE:
                told.seconds = value
        i += 2 + u64(length)
    return kind
