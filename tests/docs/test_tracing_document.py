# SPDX-License-Identifier: MIT
"""The program of docs/tracing.md, profiled as it stands there, gives the lines that stand under it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT

from exokernel.host.trace import CALL_NAMES, COUNTERS, UPCALLS

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

TEXT = (Path(__file__).resolve().parents[2] / "docs/tracing.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_profile_is_as_it_is_shown(tmp_path: Path) -> None:
    ((_, program), (_, console)) = BLOCKS
    (tmp_path / "burner.py").write_text(program)
    run, search, *lines = console.splitlines()
    assert run == "$ ./exo profile burner.py -o burner.folded" and search == "$ grep step burner.folded"
    command = [*COMMAND, *run.split()[2:], "--timeout", "60"]
    result = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stderr
    found = [line for line in (tmp_path / "burner.folded").read_text().splitlines() if "step" in line]
    assert found == lines


def test_what_the_page_names_is_there() -> None:
    table = TEXT[TEXT.index("| shown | is |") : TEXT.index("A nanosecond")]
    for name in ("received", "delivered", "transmitted", "created", "ended", "wakes", "repossessed"):
        assert f"`{name}`" in table and name in COUNTERS
    assert all(name.startswith("call ") for name in CALL_NAMES.values())
    assert all(name.startswith("upcall: ") for name in UPCALLS.values())
