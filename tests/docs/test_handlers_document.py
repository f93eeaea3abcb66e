# SPDX-License-Identifier: MIT
"""The programs and commands of docs/handlers.md do what the page says."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests import packets
from tests.host.commands import COMMAND, ENVIRONMENT
from tests.system.guests import link, running

from exokernel.aegis.ebpf import Helper

TEXT = (Path(__file__).resolve().parents[2] / "docs/handlers.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = {text.split("\n")[0].removeprefix("# "): text for language, text in BLOCKS if language == "python"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_commands_work(folder: Path) -> None:
    """As they stand there, one after the other; the packet's dots are filled in."""
    packet = packets.udp_frame(b"text").hex(" ")
    for language, block in BLOCKS:
        if language != "console":
            continue
        lines = block.splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if not line.startswith("$ "):
                continue
            command = (
                line.removeprefix("$ ")
                .replace("./exo", " ".join(COMMAND))
                .replace('"00 00 ... 45 00 ..."', f'"{packet}"')
            )
            done = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            if following and not following.startswith("$ "):
                assert json.loads(done.stdout) == json.loads(following)
            if "--packet" in line:
                assert done.stdout == "0x3\n"  # it is sent back


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")
def test_the_handler_answers(folder: Path) -> None:
    """Addresses are exchanged, and nothing else."""
    with link() as cable, running([folder / "answering.py"], link=cable.option) as guest:
        cable.guest = guest
        guest.wait_for(b"answering", 60)
        sent = packets.udp_frame(b"to the handler")
        cable.send(sent)
        assert cable.receive() == sent[:26] + sent[30:34] + sent[26:30] + sent[34:]
        cable.send(packets.udp_frame(b"to the library", port=9))
        assert cable.receive()[23] == 1


def test_every_helper_is_described_with_its_number() -> None:
    found = re.findall(r"^\| `ash\.(\w+)\(.*?\)` \| (\d+) \|", TEXT, re.MULTILINE)
    assert found == [(helper.name.lower(), str(helper.value)) for helper in Helper]
