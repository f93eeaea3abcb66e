# SPDX-License-Identifier: MIT
"""Packet filters in a booted machine: what they cost (the exhibit checks each answer, here the counts are held to the
targets), and whom the kernel gives frames to.
"""

import shutil
from pathlib import Path

import pytest
from tests import packets
from tests.system.guests import link, running

from exokernel.host.exhibit import Context, load

EXHIBIT = Path(__file__).resolve().parents[2] / "bench/filter/exhibit.py"
APPLICATIONS = Path(__file__).parent / "applications"

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def test_the_cost_grows_with_the_headers_and_not_with_the_filters() -> None:
    figures = {(f["row"], f["variant"]): f for f in load("filter", EXHIBIT).rows(Context("filter"))}
    ten, many = figures["classify-10", "compiled"], figures["classify-500", "compiled"]
    assert ten["n"] == many["n"] == 101
    assert 20 < ten["max"] <= 60
    assert many["median"] <= ten["median"] + 5
    assert many["max"] <= 2 * ten["median"]


def test_two_environments_receive_by_filters() -> None:
    """Each gets its own frames; nobody takes another's without a capability; what an environment had ends with it."""

    said_last = {b"remove": b"removed 0 True", b"inherit": b"inherited True", b"lost": b""}

    def send(text: bytes, port: int, source: int) -> None:
        cable.send(packets.udp_frame(text, port=port, source_port=source))
        guest.wait_for(said_last.get(text, text))

    with link() as cable, running([APPLICATIONS / "filters.py"] * 2, link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"ready")
        for text, port, source in (
            (b"first", 7, 5000),
            (b"second", 7, 5001),
            (b"third", 8, 5000),
            (b"lost", 9, 5000),
            (b"remove", 8, 5000),
            (b"fourth", 7, 5001),
            (b"end", 7, 5000),
            (b"inherit", 8, 5000),
            (b"fifth", 7, 5001),
            (b"stop", 8, 5000),
        ):
            send(text, port, source)
        guest.wait()
        lines = guest.console.decode().split("ready\n")
    assert guest.status == 0
    said = lines[0].splitlines()
    assert len(said) == 19 and all(line.endswith(("True", "bind 0")) for line in said), guest.transcript()
    assert lines[1].splitlines() == [
        "owner first",
        "other second",
        "other third",
        "other remove",
        "removed 0 True",
        "owner fourth",
        "owner end",
        "other inherit",
        "stale True",
        "inherited True",
        "other fifth",
        "other stop",
    ]


def test_the_deepest_trie() -> None:
    """The kernel's stack bears the recursion."""
    with link() as cable, running([APPLICATIONS / "deep_filters.py"], link=cable.option) as guest:
        guest.wait()
    assert guest.status == 0, guest.transcript()
    assert guest.console.decode() == "bound 128\nremoved 0 True\n"
