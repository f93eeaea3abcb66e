# SPDX-License-Identifier: MIT
"""How the tests start `exo`, and the examples they start it with."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HELLO = REPOSITORY / "examples/hello.py"
CRASH = REPOSITORY / "examples/crash.py"
COMMAND = [sys.executable, "-P", "-m", "exokernel.host.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NO_COLOR": "1"}

Exo = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]


def interrupt_echo(verb: str, output: Path, cache: Path) -> None:
    """The echo server under a verb that watches it and writes to `output`, ended with Ctrl-C."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        rule = f"udp:{free.getsockname()[1]}:7"
    command = [*COMMAND, verb, REPOSITORY / "examples/echo.py", "-o", output, "--forward", rule, "--timeout", "90"]
    environment = ENVIRONMENT | {"EXO_CACHE": str(cache)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "Echo on" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 128 + signal.SIGINT, said
