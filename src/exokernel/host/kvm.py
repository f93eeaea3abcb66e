# SPDX-License-Identifier: MIT
"""Whether KVM is healthy here. A /dev/kvm may exist and refuse machines, or run them slower than emulation would.

The probe boots a kernel of a few instructions that does what costs most under a bad hypervisor (leaving the guest,
loading page tables) and must be done in time. Its answer is kept until the computer or QEMU changes.
"""

import json
import os
import shutil
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from exokernel.host.build import cache_folder
from exokernel.host.machine import QEMU
from exokernel.host.terminal import Failure, progress
from exokernel.metal.linker import ELF_HEADER, EM_X86_64, ET_EXEC, IDENTIFICATION, PROGRAM_HEADER, PT_LOAD, PT_NOTE

DEVICE = Path("/dev/kvm")
LIMIT = 1.5  # seconds for the whole probe; a healthy KVM needs a tenth of it, QEMU's start included
ADDRESS = 0x100000
ANSWER = 21  # what the probe's kernel writes to the exit port; QEMU ends with 2 * ANSWER + 1

# 32-bit code, entered by PVH:   mov ecx, 2000;  again: out 0x80, al;  mov eax, cr3;  mov cr3, eax;  loop again;
# mov eax, ANSWER;  out 0xf4, eax;  hlt
CODE = bytes.fromhex("b9d0070000" "e680" "0f20d8" "0f22d8" "e2f6" "b815000000" "e7f4" "f4")  # fmt: skip


@dataclass(frozen=True)
class Health:
    """What the probe found. `reason` says why KVM is not used."""

    healthy: bool
    reason: str = ""


def choose_accelerator(wanted: str) -> str:
    """QEMU's accelerator for `auto`, `tcg` or `kvm`. Raises `Failure` when KVM is asked for and absent."""
    if wanted == "kvm" and not DEVICE.exists():
        raise Failure("there is no /dev/kvm here", "use --accel tcg, which works everywhere")
    if wanted != "auto":
        return wanted
    return "kvm" if health().healthy else "tcg"


def health() -> Health:
    """The probe's answer, from the cache if it was already asked since this computer's start."""
    if not DEVICE.exists():
        return Health(False, "there is no /dev/kvm")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Health(False, "/dev/kvm may not be opened; join the group kvm")
    qemu = shutil.which(QEMU)
    if not qemu:
        return Health(False, "QEMU is not installed")
    kept = cache_folder() / "kvm.json"
    key = f"{_boot()} {os.stat(qemu).st_mtime_ns}"
    try:
        known = json.loads(kept.read_bytes())
        if known["key"] == key:
            return Health(bool(known["healthy"]), str(known["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with progress("Probing KVM ..."):
        found = probe(qemu)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"key": key, "healthy": found.healthy, "reason": found.reason}))
    except OSError:
        pass  # asked again next time
    return found


def probe(qemu: str, accelerator: str = "kvm", limit: float = LIMIT) -> Health:
    """Boot the probe's kernel within `limit` seconds."""
    command = [qemu, "-M", "microvm,acpi=off", "-cpu", "max", "-accel", accelerator, "-m", "16", "-nodefaults"]
    command += ["-no-user-config", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder, "probe.elf")
        kernel.write_bytes(probe_kernel())
        started = time.monotonic()
        try:
            ended = subprocess.run(
                [*command, "-kernel", str(kernel)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Health(False, f"the probe took more than {limit:g} s ({time.monotonic() - started:.1f} s)")
    if ended.returncode != 2 * ANSWER + 1:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        return Health(False, said[0] if said else f"the probe ended with status {ended.returncode}")
    return Health(True)


def probe_kernel() -> bytes:
    """An ELF file with the code above and the PVH note that names its entry."""
    note = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", ADDRESS)
    start = ELF_HEADER.size + 2 * PROGRAM_HEADER.size
    header = ELF_HEADER.pack(
        *(IDENTIFICATION, ET_EXEC, EM_X86_64, 1, ADDRESS, ELF_HEADER.size, 0, 0),
        *(ELF_HEADER.size, PROGRAM_HEADER.size, 2, 0, 0, 0),
    )
    load = PROGRAM_HEADER.pack(PT_LOAD, 5, start, ADDRESS, ADDRESS, len(CODE), len(CODE), 1)
    where = start + len(CODE)
    described = PROGRAM_HEADER.pack(PT_NOTE, 4, where, 0, 0, len(note), len(note), 4)
    return header + load + described + CODE + note


def _boot() -> str:
    """This start of the computer."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
