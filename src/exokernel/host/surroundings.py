# SPDX-License-Identifier: MIT
"""What figures were measured on: the host, the emulated machine, the tools and the sources, as text by name.

Only what is read here and now; what cannot be found out is left out.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from exokernel.host.build import REPOSITORY
from exokernel.host.machine import QEMU, measured, qemu_command


def surroundings(accelerator: str = "tcg") -> dict[str, str]:
    """The facts, of a run that begins now."""
    command = qemu_command(Path("IMAGE"), measured(icount=True), 3)
    found = {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sources": _sources(),
        "command": " ".join(["./exo", *_measuring(sys.argv[1:])]),
        "machine": f"QEMU {command[command.index('-M') + 1]}, 1 processor, {measured().memory} MiB",
        "processor": f"QEMU's {command[command.index('-cpu') + 1]}, emulated (TCG); one instruction a tick where counted",
        "wall time": "QEMU's emulation" if accelerator == "tcg" else f"accelerator {accelerator}",
        "emulator": _first_line(QEMU, "--version"),
        "host processor": f"{_host_processor()}, {len(os.sched_getaffinity(0))} cores",
        "host system": f"{platform.system()} {platform.release().split('-')[0]}, {_distribution()}",
        "compiler": f"llvmlite {importlib.metadata.version('llvmlite')} on Python {platform.python_version()}",
        "C compiler": _first_line("gcc", "--version"),
    }
    return {name: text for name, text in found.items() if text}


def _measuring(words: list[str]) -> list[str]:
    """The command line without where its results went."""
    kept = list(words)
    for option in ("--json", "--html"):
        while option in kept:
            place = kept.index(option)
            del kept[place : place + 2]
    return kept


def _first_line(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return result.stdout.split("\n")[0]


def _sources() -> str:
    """The commit, and whether the sources differ from it."""
    if not shutil.which("git"):
        return ""
    git = ["git", "-C", str(REPOSITORY)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=False)
    if commit.returncode != 0:
        return ""
    return f"commit {commit.stdout.strip()[:12]}" + (", with changes" if status.stdout.strip() else "")


def _host_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return ""
