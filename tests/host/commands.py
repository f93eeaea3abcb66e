# SPDX-License-Identifier: MIT
"""How the tests start `exo`, and the examples they start it with."""

import os
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
