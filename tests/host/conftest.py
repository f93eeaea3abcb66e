# SPDX-License-Identifier: MIT
"""What the tests of the workstation's side share: `exo` as a process, and applications written for one test."""

import subprocess
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, Exo, Write


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all these tests, so that the kernel is compiled once and the developer's own is left alone."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def exo(tmp_path: Path, cache: Path) -> Exo:
    """Runs `exo` with arguments, in an empty folder, as a process."""

    def run(*arguments: object, timeout: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=ENVIRONMENT | {"EXO_CACHE": str(cache)} | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def application(tmp_path: Path) -> Write:
    """Writes an application; its path."""

    def write(text: str, name: str = "application.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
