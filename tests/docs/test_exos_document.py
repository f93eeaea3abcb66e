# SPDX-License-Identifier: MIT
"""The programs of docs/exos.md, booted as they stand there, print what stands under them."""

import re
import shutil
from pathlib import Path

import pytest
from tests.system.guests import running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

TEXT = (Path(__file__).resolve().parents[2] / "docs/exos.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = {text.split("\n")[0].removeprefix("# "): text for language, text in BLOCKS if language == "python"}
RUNS = [text.split("\n", 1) for language, text in BLOCKS if language == "console"]


def test_every_block_is_a_program_or_a_run() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    assert len(PROGRAMS) == sum(language == "python" for language, _ in BLOCKS)
    started = [name for command, _ in RUNS for name in command.removeprefix("$ ./exo run ").split()]
    declared = re.findall(r'^PROGRAMS = \["(.+)"\]', TEXT, re.MULTILINE)
    assert {*started, *declared} == set(PROGRAMS)


@pytest.mark.parametrize(("command", "expected"), RUNS, ids=[command.split()[-1] for command, _ in RUNS])
def test_a_program_prints_what_stands_under_it(command: str, expected: str, tmp_path: Path) -> None:
    names = command.removeprefix("$ ./exo run ").split()
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    with running([tmp_path / name for name in names]) as guest:
        guest.wait()
        assert guest.console.decode() == expected and guest.status == 0, guest.transcript()
