# SPDX-License-Identifier: MIT
"""Booting examples for the tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from exokernel.host import machine, wire
from exokernel.host.build import build
from exokernel.host.machine import Machine
from exokernel.host.namespace import namespace
from exokernel.host.terminal import Failure

Link, link, ANSWER = wire.Wire, wire.wire, wire.ANSWER
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 110.0  # seconds for a whole run


@contextmanager
def running(
    applications: Sequence[Path],
    *,
    link: machine.Link | None = None,
    forward: Sequence[str] = (),
    memory: int = 64,
    slice_ticks: int = 0,
    icount: bool = False,
) -> Iterator[Machine]:
    """Build and boot `applications`; they are ended with the block."""
    ports = tuple(machine.Forward.parse(f) for f in forward)
    options = machine.Options(link=link, forward=ports, memory=memory, icount=icount)
    with Machine(build(list(applications), slice_ticks=slice_ticks).path, options, timeout=TIMEOUT) as guest:
        yield guest


@contextmanager
def beside_linux(applications: Sequence[Path], memory: int = 64) -> Iterator[Machine]:
    """The same on one wire with this computer's Linux (host/namespace.py), where the test is too. Skips where that is not
    possible.
    """
    with ExitStack() as stack:
        try:
            tap = stack.enter_context(namespace())
        except Failure as reason:
            pytest.skip(reason.message)
        yield stack.enter_context(running(applications, link=tap, memory=memory))


def free_port() -> int:
    """A UDP port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_tcp_port() -> int:
    """The same for TCP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
