# SPDX-License-Identifier: MIT
"""Plugins of QEMU's emulator, written in C beside this module and compiled when they are first used.

A plugin is called by the emulator for what the guest executes. The guest cannot see it: it executes the same
instructions with a plugin as without.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from exokernel.host.build import cache_folder
from exokernel.host.terminal import Failure

HEADER = Path(__file__).with_name("qemu_plugin.h")
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden")
COMPILE_TIMEOUT = 60  # seconds


def compiled(source: Path) -> Path:
    """The shared object of a plugin's C source, from the cache if it is there. Raises `Failure` without gcc, or with
    what gcc said.
    """
    gcc = shutil.which("gcc")
    if not gcc:
        raise Failure(
            "gcc is not installed; it compiles the plugin that counts", "on Debian or Ubuntu: apt-get install gcc"
        )
    version = subprocess.run(
        [gcc, "-dumpfullversion", "-dumpmachine"], capture_output=True, timeout=10, check=False
    ).stdout
    parts = (source.read_bytes(), HEADER.read_bytes(), " ".join(FLAGS).encode(), version)
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    path = cache_folder() / "plugin" / f"{source.stem}-{digest}.so"
    if path.exists():
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [gcc, *FLAGS, f"-I{HEADER.parent}", "-o", str(temporary), str(source)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT, check=False)
        if result.returncode != 0:
            raise Failure(f"gcc does not compile {source}:\n{result.stderr.rstrip()}")
        temporary.replace(path)
    except OSError as error:
        raise Failure(f"cannot write to the cache {path.parent}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def arguments(library: Path, **settings: object) -> tuple[str, ...]:
    """QEMU's arguments that load a plugin with its settings."""
    parts = [f"file={library}", *(f"{name}={value}" for name, value in settings.items())]
    return "-plugin", ",".join(part.replace(",", ",,") for part in parts)
