# SPDX-License-Identifier: MIT
"""Debian's packages, fetched and unpacked into the cache, never installed: what a peer runs is theirs, not the host's.

Needs `apt-get`, `apt-cache` and `dpkg`, and a network the first time; a package that is in the cache is taken as it is,
until its folder is deleted.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from exokernel.host.build import cache_folder
from exokernel.host.terminal import Failure, progress

TIMEOUT = 300  # seconds of one command


def unpacked(package: str) -> Path:
    """The folder with a package's files, as of the version that apt would install if it is not there yet. Raises
    `Failure`.
    """
    folder = cache_folder() / "debian"
    known = sorted(folder.glob(f"{package}_*"))
    if known:
        return known[-1]
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Failure(f"the Debian package {package} cannot be fetched: there is no apt-get here")
    version = _field(_about(package), "Version") or ""
    place = folder / f"{package}_{version}".replace(":", "%3a")
    with progress(f"Fetching {package} {version} ..."):
        _fetch(package, version, place)
    return place


def dependency(package: str) -> str:
    """The first package that a meta-package depends on. Raises `Failure`."""
    found = _field(_about(package), "Depends") or ""
    name = re.match(r"[a-z0-9.+-]+", found)
    if not name:
        raise Failure(f"apt knows no dependency of {package}")
    return name[0]


def libraries(package: str) -> Iterator[str]:
    """The packages with libraries that a package depends on, and what it is split into, nearest first."""
    without = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    graph: dict[str, list[str]] = {}
    for line in _output("apt-cache", "depends", "--recurse", *without, package).splitlines():
        if not line.startswith(" "):
            edges = graph.setdefault(line, [])
        elif found := re.match(r" *\|?(?:Pre)?Depends: ([a-z0-9.+-]+)$", line):
            edges.append(found[1])
    prefixes = ("lib", "zlib", package.split("-", maxsplit=1)[0] + "-")
    seen, near = {package}, [package]
    while near:
        further = [other for name in near for other in graph.get(name, []) if other.startswith(prefixes)]
        near = [name for name in dict.fromkeys(further) if name not in seen]
        seen |= set(near)
        yield from near


def _about(package: str) -> str:
    """What apt-cache says of a package."""
    found = _output("apt-cache", "show", "--no-all-versions", package)
    if not found and os.geteuid() == 0:
        with progress("Updating apt's lists ..."):
            _output("apt-get", "update", "-q")
        found = _output("apt-cache", "show", "--no-all-versions", package)
    if not found:
        raise Failure(f"apt does not know the package {package}", "apt-get update fetches its lists, as root")
    return found


def _field(text: str, name: str) -> str | None:
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return found[1] if found else None


def _output(*command: str) -> str:
    """What a command prints; nothing when it fails."""
    try:
        done = _run(command)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _run(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Whatever comes of it."""
    return subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
    )


def _fetch(package: str, version: str, place: Path) -> None:
    """Download and unpack; `place` appears at the end, whole."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for folder, *command in (
            (temporary, "apt-get", "download", "-q", f"{package}={version}"),
            (temporary, "sh", "-c", "dpkg -x ./*.deb files && rm ./*.deb"),
        ):
            done = _run(command, folder)
            if done.returncode:
                said = (done.stderr.strip() or "nothing was said").splitlines()[-1]
                raise Failure(f"the Debian package {package} cannot be fetched: {said}", "is there a network?")
        (temporary / "files").rename(place)
    except OSError as error:
        raise Failure(f"the Debian package {package} cannot be unpacked: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"the Debian package {package} did not come within {TIMEOUT} s") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
