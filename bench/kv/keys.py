# SPDX-License-Identifier: MIT
"""examples/kv.py that never sleeps: on port 81 it tells the time-stamp counter and how often its loop found nothing to do."""

import importlib.util
import sys
from pathlib import Path

from exokernel.exos.net import network, streams
from exokernel.exos.net.tcp import Connection, Event
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, format_into, u8, u64

_path = Path(__file__).resolve().parents[2] / "examples/kv.py"
_specification = importlib.util.spec_from_file_location("kv", _path)
assert _specification is not None and _specification.loader is not None
kv = importlib.util.module_from_spec(_specification)
sys.modules["kv"] = kv
_specification.loader.exec_module(kv)

turns: u64 = 0


def tell(connection: Connection, event: u8) -> None:
    """The counter and the turns, and the end."""
    if event == Event.OPENED:
        text = Array[u8, 64]()
        streams.write(connection, text[: format_into(text, f"{read_timestamp()} {turns}\n")])
        streams.close(connection)


def main() -> None:
    global turns
    network.start()
    streams.start(kv.connections, kv.buffers, kv.BUFFER)
    streams.listen(kv.PORT, kv.serve)
    streams.listen(81, tell)
    print("ready")
    while True:
        if network.poll() == 0:
            turns += 1
