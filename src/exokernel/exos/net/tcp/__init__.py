# SPDX-License-Identifier: MIT
"""TCP (RFC 9293) as pure data: a table of connections, and what a segment, a time or the application does to it. It
reads no clock and touches no device: time comes in as `now`, segments are built where `Host.output` says and leave
through `Host.transmit`. docs/network.md says what of each RFC is here.

A connection belongs to whoever opened it or listens on its port, who hears of it through one handler: OPENED first,
READABLE, WRITABLE and END as they come, LOST as the last. After `close` or `abort`, after LOST, and when both have
finished (`finish` here and END there, in whatever order) it must not be used: its row may be another's. Nothing here
waits and nothing grows: rows and buffers are the application's, given once; a connection holds a buffer only while
bytes are in it, so an idle one is its row, 336 bytes.

This file is what others use of the package; its own files import one another, each only such as stand before it in the
reading order.
"""

from exokernel.exos.net.tcp.application import (
    abort,
    arrived,
    close,
    consume,
    finish,
    read,
    room,
    set_keep_alive,
    set_patience,
    want_room,
    write,
)  # fmt: skip
from exokernel.exos.net.tcp.arrival import receive
from exokernel.exos.net.tcp.connection import NONE, Connection, Event, Host, new, new_connection
from exokernel.exos.net.tcp.opening import EPHEMERAL, connect, connect_from, listen, unlisten
from exokernel.exos.net.tcp.states import State
from exokernel.exos.net.tcp.table import buffer_of, find, prepare
from exokernel.exos.net.tcp.timers import tick

__all__ = [
    "EPHEMERAL",
    "NONE",
    "Connection",
    "Event",
    "Host",
    "State",
    "abort",
    "arrived",
    "buffer_of",
    "close",
    "connect",
    "connect_from",
    "consume",
    "find",
    "finish",
    "listen",
    "new",
    "new_connection",
    "prepare",
    "read",
    "receive",
    "room",
    "set_keep_alive",
    "set_patience",
    "tick",
    "unlisten",
    "want_room",
    "write",
]
