# SPDX-License-Identifier: MIT
"""Application-specific handlers, written in Python: what a handler sees, and how it becomes eBPF.

A handler is a function of the dialect that gets XDP's context and says what becomes of the packet, which it may change
in place; `exo ash compile` makes an eBPF object of it. It runs in a window of its own: an access outside it, or an index
out of range, ends it. It has no module variables, no `print` and 512 bytes of stack.
"""

from enum import IntEnum

from exokernel.metal import Ptr, Span, inline, struct, u8, u32, u64


class Action(IntEnum):
    """What becomes of the packet: XDP's return codes."""

    ABORTED = 0  # as DROP, and counted as a mistake
    DROP = 1
    PASS = 2  # to the application
    TX = 3  # back where it came from, as it is now


@struct
class Context:
    """XDP's context (Linux's `struct xdp_md`). Addresses have 32 bits: they are offsets in the handler's window."""

    data: u32
    data_end: u32
    data_meta: u32
    ingress_interface: u32
    receive_queue: u32
    egress_interface: u32


@inline
def packet(context: Context) -> Span[u8]:
    """The frame, from its Ethernet header to its end."""
    return Span[u8](Ptr[u8](u64(context.data)), u64(context.data_end - context.data))
