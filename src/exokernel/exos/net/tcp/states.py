# SPDX-License-Identifier: MIT
"""The states of a connection as data (RFC 9293 section 3.3.2, figure 5): what each allows, and which one comes after an
end. Between two ends nothing changes the state but the opening (`opening`, `arrival`), a reset and the clock.
"""

from enum import IntEnum
from typing import Final

from exokernel.metal import Array, inline, u8, u32


class State(IntEnum):
    """LISTEN is not a connection's."""

    CLOSED = 0  # the row is free
    SYN_SENT = 1
    SYN_RECEIVED = 2
    ESTABLISHED = 3
    FIN_WAIT_1 = 4
    FIN_WAIT_2 = 5
    CLOSE_WAIT = 6
    CLOSING = 7
    LAST_ACK = 8
    TIME_WAIT = 9


# What a state allows: w, the application may write; s, data or our FIN may have to be sent; r, the peer may send data.
# Then the state after our own end (`finish`), after the peer has acknowledged our FIN, and after the peer's FIN.
TABLE = {
    State.CLOSED: ("", State.CLOSED, State.CLOSED, State.CLOSED),
    State.SYN_SENT: ("w", State.SYN_SENT, State.SYN_SENT, State.SYN_SENT),
    State.SYN_RECEIVED: ("w", State.SYN_RECEIVED, State.SYN_RECEIVED, State.SYN_RECEIVED),
    State.ESTABLISHED: ("wsr", State.FIN_WAIT_1, State.ESTABLISHED, State.CLOSE_WAIT),
    State.FIN_WAIT_1: ("sr", State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSING),
    State.FIN_WAIT_2: ("r", State.FIN_WAIT_2, State.FIN_WAIT_2, State.TIME_WAIT),
    State.CLOSE_WAIT: ("ws", State.LAST_ACK, State.CLOSE_WAIT, State.CLOSE_WAIT),
    State.CLOSING: ("s", State.CLOSING, State.TIME_WAIT, State.CLOSING),
    State.LAST_ACK: ("s", State.LAST_ACK, State.CLOSED, State.LAST_ACK),
    State.TIME_WAIT: ("", State.TIME_WAIT, State.TIME_WAIT, State.TIME_WAIT),
}


def those(letter: str) -> int:
    """The states that allow something, a bit for each."""
    return sum(1 << state for state, (allowed, *_) in TABLE.items() if letter in allowed)


WRITE = those("w")
SEND = those("s")
RECEIVE = those("r")
AFTER_OURS: Final[Array[u8, 10]] = Array[u8, 10]([TABLE[state][1] for state in State])
AFTER_ACKNOWLEDGED: Final[Array[u8, 10]] = Array[u8, 10]([TABLE[state][2] for state in State])
AFTER_THEIRS: Final[Array[u8, 10]] = Array[u8, 10]([TABLE[state][3] for state in State])


@inline
def allows(states: u32, state: u8) -> bool:
    """Whether a state is one of WRITE, SEND or RECEIVE."""
    return states >> (state & 31) & 1 != 0
