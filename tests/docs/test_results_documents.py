# SPDX-License-Identifier: MIT
"""docs/results.md says what the kept run says; docs/reproduce.md can be followed: its commands do what stands under them,
and what it points at is there.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, REPOSITORY

from exokernel.host import results_document
from exokernel.host.cli import parse
from exokernel.host.exhibit import discover
from exokernel.host.expectations import thresholds
from exokernel.host.figures import checked, read, read_machine
from exokernel.host.results_document import DOCUMENT, KEPT, document, kept

TEXT = (REPOSITORY / "docs/reproduce.md").read_text()
RUNS = [text.split("\n", 1) for text in re.findall(r"^```console\n\$ (.*?)^```", TEXT, re.MULTILINE | re.DOTALL)]
CLAIMS = [line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| ") and "./exo bench" in line]


def test_the_document_is_of_the_kept_run() -> None:
    assert DOCUMENT.read_text() == document(kept()), "run python -m exokernel.host.results_document"


def test_check_notices_a_document_that_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = REPOSITORY / "docs/architecture.md"
    before = stale.read_text()
    monkeypatch.setattr(results_document, "DOCUMENT", stale)
    assert results_document.main(["--check"]) == 1 and "not current" in capsys.readouterr().out
    assert stale.read_text() == before


def test_the_kept_run_is_whole() -> None:
    """Every claim's exhibit at least, with Linux beside them, and what they were measured on."""
    found = [checked(figure) for figure in read(KEPT)]
    exhibits = {str(f["exhibit"]) for f in found}
    assert {parse(command.strip(" `").split()[1:]).exhibits[0] for _, _, command, _ in CLAIMS} <= exhibits
    assert {str(f["exhibit"]) for f in found if f["system"] == "linux"} >= {"primitives", "ipc", "vm", "http", "kv"}
    assert {"processor", "emulator", "sources", "peer", "command"} <= set(read_machine(KEPT))
    assert not [v for v in kept().verdicts if v.outcome == "broken"]


@pytest.mark.parametrize(("claim", "where", "command", "rows"), CLAIMS, ids=[c[2].strip(" `") for c in CLAIMS])
def test_a_claim_points_at_rows_that_are_measured(claim: str, where: str, command: str, rows: str) -> None:
    assert claim.strip() and re.search(r"table|figure", where)
    words = command.strip(" `").split()
    (name,) = parse(words[1:]).exhibits
    measured = {f["row"] for f in read(KEPT) if f["exhibit"] == name} | {f["variant"] for f in read(KEPT)}
    named = re.findall(r"`([^`]+)`", rows)
    assert named and set(named) <= measured
    assert thresholds(name, discover()[name].parent), f"nothing is aimed at in {name}"


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc, for the columns of kernel entries")
@pytest.mark.parametrize(("command", "expected"), RUNS, ids=[command for command, _ in RUNS])
def test_a_command_does_what_stands_under_it(command: str, expected: str, tmp_path: Path) -> None:
    """`...` stands for anything."""
    assert command.startswith("./exo ")
    for name in ("bench", "examples"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    arguments = [*COMMAND, *command.split()[1:]]
    run = subprocess.run(
        arguments, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110
    )
    assert run.returncode == 0, run.stderr
    said = re.sub(r" +\n", "\n", run.stdout + run.stderr)
    pattern = ".*".join(re.escape(part) for part in expected.rstrip("\n").split("..."))
    assert re.fullmatch(pattern + r"\s*", said, re.DOTALL), said
