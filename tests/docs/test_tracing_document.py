# SPDX-License-Identifier: MIT
"""The programs of docs/tracing.md, run as they stand there, give the lines that stand under them; what recording costs
is what the page says.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT

from exokernel.host.build import build
from exokernel.host.machine import Machine, Options
from exokernel.host.trace import CALL_NAMES, COUNTERS, UPCALLS

TEXT = (Path(__file__).resolve().parents[2] / "docs/tracing.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

COSTS = """
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import noinline, u64


@noinline
def null_call() -> u64:
    start = read_timestamp()
    aegis.null()
    return read_timestamp() - start


def main() -> None:
    print(null_call())
"""


def run(folder: Path, command: str) -> str:
    """What a command of the page prints."""
    result = subprocess.run(
        [*COMMAND, *command.split()[2:], "--timeout", "60"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_profile_is_as_it_is_shown(tmp_path: Path) -> None:
    (_, program), (_, console) = BLOCKS[2:]
    (tmp_path / "burner.py").write_text(program)
    command, search, *lines = console.splitlines()
    assert command == "$ ./exo profile burner.py -o burner.folded" and search == "$ grep step burner.folded"
    run(tmp_path, command)
    found = [line for line in (tmp_path / "burner.folded").read_text().splitlines() if "step" in line]
    assert found == lines


def test_the_ring_is_read_in_the_machine_as_it_is_shown(tmp_path: Path) -> None:
    (_, program), (_, console) = BLOCKS[:2]
    (tmp_path / "reader.py").write_text(program)
    command, *lines = console.splitlines()
    assert command == "$ ./exo trace reader.py -o reader.json"
    assert run(tmp_path, command).splitlines() == lines
    assert json.loads((tmp_path / "reader.json").read_text())["traceEvents"]
    assert run(tmp_path, "$ ./exo run reader.py") == "this kernel does not record\n"


def test_recording_costs_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "costs.py"
    path.write_text(COSTS)
    found = []
    for traced in (False, True):
        with Machine(build([path], traced=traced).path, Options(icount=True)) as machine:
            machine.wait()
        found.append(int(machine.console))
    said = re.search(
        r"takes (\d+) instructions more than with the ordinary kernel: a null call (\d+) instead of (\d+)", TEXT
    )
    assert said is not None
    more, traced_call, call = map(int, said.groups())
    assert found[1] - found[0] == more == traced_call - call
    assert f"A record takes {more // 2} instructions" in TEXT


def test_what_the_page_names_is_there() -> None:
    table = TEXT[TEXT.index("| shown | is |") : TEXT.index("The image gets")]
    assert all(f"`{name}`" in table for name in COUNTERS.values())
    assert all(name.startswith("call ") for name in CALL_NAMES.values())
    assert all(name.startswith("upcall: ") for name in UPCALLS.values())
