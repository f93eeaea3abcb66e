# SPDX-License-Identifier: MIT
"""The packet scripts of `scripts/`, each against the compiled library; a few also by CPython."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.exos import packetdrill, tcp_host
from tests.exos.ways import WAYS

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = [(path.stem, script) for path in sorted(FOLDER.glob("*.pkt")) for script in packetdrill.read(path)]
NAMES = [f"{file}: {script.name}" for file, script in SCRIPTS]
FUNCTIONS = [
    tcp_host.reset, tcp_host.listen, tcp_host.connect, tcp_host.arrive, tcp_host.tick, tcp_host.deadline,
    tcp_host.sent, tcp_host.event, tcp_host.write, tcp_host.read, tcp_host.close, tcp_host.finish, tcp_host.abort,
    tcp_host.option, tcp_host.state, tcp_host.books, tcp_host.window_of_congestion,
]  # fmt: skip


@cache
def compiled(way: str) -> Any:
    return WAYS[way](*FUNCTIONS)


@pytest.mark.parametrize("script", [script for _, script in SCRIPTS], ids=NAMES)
def test_script(script: packetdrill.Script) -> None:
    packetdrill.Run(compiled("native"), script).run()


def test_the_scripts_have_names_of_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    "script", [script for file, script in SCRIPTS if file == "handshake"], ids=[n for n in NAMES if "handshake" in n]
)
def test_by_python(script: packetdrill.Script) -> None:
    packetdrill.Run(compiled("python"), script).run()


@pytest.mark.parametrize(
    "line", [
        "+0 > . 1:1(0) ack 1", "+0 < . 1:1(0) ack 1 win 9\n+0 > R 1:1(0)", "+0 accept(3, ..., ...) = 4",
        "+0 write(4, ..., 10) = 9", "+0 %{ assert state == CLOSED }%", "+0 < . 1:3(1) ack 1", "+0 nonsense",
        "+0 write(4, ..., 10) = 10", "+0 write(4, ..., 10) = 10\n+0.1 > P. 1:11(10) ack 1",
        "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2", "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1",
    ],
)  # fmt: skip
def test_the_interpreter_notices(line: str, tmp_path: Path) -> None:
    """A script that says something wrong fails."""
    path = tmp_path / "wrong.pkt"
    path.write_text("=== wrong\n" + ("" if "accept" in line else "$opened\n") + line)
    with pytest.raises(packetdrill.Wrong):
        packetdrill.Run(compiled("native"), packetdrill.read(path)[0]).run()
