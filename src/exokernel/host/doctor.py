# SPDX-License-Identifier: MIT
"""`exo doctor`: what this computer has, what is missing, and what to do about it. Changes nothing."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from exokernel.host import kvm
from exokernel.host.build import REPOSITORY
from exokernel.host.machine import QEMU

# What some tests need, and skip without: the program and its package.
FOR_TESTS = {
    "nc": "netcat-openbsd",
    "ping": "iputils-ping",
    "ip": "iproute2",
    "curl": "curl",
    "redis-cli": "redis-tools",
    "wrk": "wrk",
    "tcpdump": "tcpdump",
    "clang": "clang",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}
SYSTEM_PATH = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `needed`: nothing works without it."""

    what: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = False


def examine() -> list[Finding]:
    """Look at everything."""
    version = ".".join(map(str, sys.version_info[:3]))
    inside = sys.prefix != sys.base_prefix
    findings = [
        Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer", True),
        Finding("virtual environment", inside, sys.prefix if inside else "none", "start with ./exo", True),
    ]
    for package in ("llvmlite", "rich", "pyelftools", "jinja2", "pytest", "hypothesis"):
        findings.append(_package(package))
    findings.append(_tool("QEMU", QEMU, "qemu-system-x86", ("--version",), needed=True))
    findings.append(_kvm())
    findings.append(_tool("gdb (for debug)", "gdb", "gdb", ("--version",)))
    findings.append(_tool("gcc (for bench, profile)", "gcc", "gcc", ("--version",)))
    for program, package in FOR_TESTS.items():
        findings.append(_tool(f"{program} (for tests)", program, package))
    findings.append(_tap())
    return findings


def report() -> int:
    """Print the table; 1 if something that is needed is missing."""
    from rich.console import Console
    from rich.table import Table

    findings = examine()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "what", "found", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.good else "[red]missing[/]" if finding.needed else "[yellow]no[/]"
        table.add_row(mark, finding.what, finding.found, "" if finding.good else finding.remedy)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
    return int(any(f.needed and not f.good for f in findings))


def _package(name: str) -> Finding:
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"rm {REPOSITORY / '.cache/setup'} and start ./exo again", True)
    return Finding(name, True, found)


def _tool(what: str, program: str, package: str, version: tuple[str, ...] = (), needed: bool = False) -> Finding:
    path = shutil.which(program) or shutil.which(program, path=SYSTEM_PATH)
    if not path:
        return Finding(what, False, "not found", f"apt-get install {package}", needed)
    found = path
    if version:
        try:
            said = subprocess.run([path, *version], capture_output=True, text=True, timeout=10, check=False).stdout
            found = said.splitlines()[0] if said else path
        except (OSError, subprocess.TimeoutExpired):
            return Finding(what, False, f"{path} does not start", f"apt-get install --reinstall {package}", needed)
    return Finding(what, True, found)


def _kvm() -> Finding:
    health = kvm.health()
    if health.healthy:
        return Finding("KVM", True, "healthy")
    return Finding("KVM", False, health.reason, "nothing: emulation is used instead, it works everywhere")


def _tap() -> Finding:
    """Whether a tap device can be made, for the tests that ping the guest."""
    device = Path("/dev/net/tun")
    if device.exists() and os.geteuid() == 0:
        return Finding("tap device (for tests)", True, str(device))
    found = "only root may make one" if device.exists() else "no /dev/net/tun"
    return Finding("tap device (for tests)", False, found, "nothing: the tests that ping are skipped")
