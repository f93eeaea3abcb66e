# SPDX-License-Identifier: MIT
"""The set-up of `./exo`, in a copy of its own. That it works to the end is shown by the run of these tests itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.commands import REPOSITORY


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the set-up looks at, in a folder of its own."""
    for name in ("exo", "pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def set_up(clone: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, clone / "exo", "--help"],
        cwd="/",
        # Without an index pip can install nothing: the set-up ends there.
        env={"HOME": str(clone), "PATH": os.environ["PATH"], "PIP_NO_INDEX": "1"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_what_failed_is_said_and_done_again(clone: Path) -> None:
    first = set_up(clone)
    assert first.returncode == 2
    assert first.stdout == ""
    assert "error: the Python packages could not be installed" in first.stderr
    assert "Traceback" not in first.stderr.split("error: the Python packages")[1]
    assert (clone / ".venv/bin/python").exists()
    again = set_up(clone)
    assert again.returncode == 2
    assert "virtual environment" not in again.stderr  # that part was finished
    assert "Python packages" in again.stderr


def test_a_half_made_environment_is_made_anew(clone: Path) -> None:
    (clone / ".cache").mkdir()
    (clone / ".cache/setup").write_text("unfinished")
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to("/bin/false")
    (clone / ".venv/rubbish").write_text("")
    set_up(clone)
    assert not (clone / ".venv/rubbish").exists()
    assert subprocess.run([clone / ".venv/bin/python", "-c", "print(1)"], timeout=20, check=False).returncode == 0


def test_an_environment_of_the_users_is_kept(clone: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], timeout=60, check=True)
    (clone / ".venv/mine").write_text("keep")
    assert set_up(clone).returncode == 2
    assert (clone / ".venv/mine").read_text() == "keep"


def test_a_python_without_venv_is_told_the_package(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/ensurepip.py").write_text("raise ImportError")
    run = set_up(clone, PYTHONPATH=str(tmp_path / "broken"))
    assert run.returncode == 2
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"apt-get install python{version}-venv" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_a_finished_set_up_is_not_done_again(clone: Path) -> None:
    """With the stamp in place, the command line starts at once; here there is none to start, and Python says so."""
    import hashlib

    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to("/bin/echo")
    (clone / ".cache").mkdir()
    stamp = hashlib.sha256((clone / "pyproject.toml").read_bytes() + str(clone).encode()).hexdigest()
    (clone / ".cache/setup").write_text(stamp)
    run = set_up(clone)
    assert run.returncode == 0
    assert run.stdout == "-P -m exokernel.host.cli --help\n"
    assert run.stderr == ""
    # Another pyproject.toml, or another place, is another set-up.
    with (clone / "pyproject.toml").open("a") as file:
        file.write("\n")
    (clone / ".venv/bin/python").unlink()
    (clone / ".venv/bin/python").symlink_to("/bin/false")
    assert "Setting up" in set_up(clone).stderr


def test_the_entry_can_be_read_by_an_older_python() -> None:
    import ast

    ast.parse((REPOSITORY / "exo").read_text(), feature_version=(3, 6))
