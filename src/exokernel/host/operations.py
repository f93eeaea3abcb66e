# SPDX-License-Identifier: MIT
"""What an instruction count hides, counted by a plugin of QEMU's emulator (operations.c), for any guest alike:

- kernel entries: execution goes on in the upper half of the address space after it was in the lower one, whatever the
  reason (call, exception, interrupt);
- address-space switches: `mov cr3`, but where the instruction before it has read cr3, which only flushes;
- tlb flushes: of the whole TLB, by any `mov cr3`, `mov cr4` or INVPCID. QEMU's processor has no PCID, so a switch is one;
- page invalidations: `invlpg`.

The program in the guest says by markers what is counted. A marker is `nop dword ptr [rax + rax + N]`, the bytes
0F 1F 84 00 and N in four bytes:

    N = 0x0E4F5801  a region begins; all kernel entries and so on from here count, of all programs of the machine
    N = 0x0E4F5802  it ends
    N = 0x0E4F5803  the regions since the last such marker are one row's, whose line is printed now

The markers lie outside of what the program counts itself, so they change no figure. In Python they are
`exokernel.exos.measure`, in C bench/peers/linux/markers.h. A row's figure is over its regions: usually one a sample.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exokernel.host import plugin
from exokernel.host.figures import Figure
from exokernel.host.machine import find_qemu
from exokernel.host.terminal import Failure

SOURCE = Path(__file__).with_suffix(".c")


class Operations(NamedTuple):
    """What one region did."""

    kernel_entries: int
    address_space_switches: int
    tlb_flushes: int
    page_invalidations: int


NAMES = tuple(name.replace("_", " ").replace("address space", "address-space") for name in Operations._fields)


def counter(out: Path) -> tuple[str, ...]:
    """QEMU's arguments that make it count into the file `out`. Raises `Failure` where gcc is missing."""
    return plugin.arguments(plugin.compiled(SOURCE), out=out)


def check_counter() -> None:
    """Raises `Failure` where nothing can be counted: without gcc, or if this QEMU does not take the plugin."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            find_qemu(),
            *["-M", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"],
            *counter(Path(folder, "out")),
        ]
        ended = subprocess.run(command, input=b"quit\n", capture_output=True, timeout=20, check=False)
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise Failure(said[-1] if said else "QEMU does not take the plugin that counts")


def counted(out: Path) -> list[list[Operations]]:
    """The regions of each row, in the order in which the program printed the rows."""
    rows: list[list[Operations]] = [[]]
    for line in out.read_text().splitlines():
        name, *numbers = line.split()
        if name == "row":
            rows.append([])
        else:
            rows[-1].append(Operations(*map(int, numbers)))
    return rows[:-1]


def columns(regions: Sequence[Operations], operations: int = 1) -> dict[str, list[float]]:
    """The regions as samples by name, for each of the `operations` that a region consists of."""
    return {name: [region[i] / operations for region in regions] for i, name in enumerate(NAMES)}


def operation_variants(figure: Figure) -> list[str]:
    """The variants under which kernel entries and so on of a figure are kept."""
    return [f"{figure['variant']}, {name}" if figure["variant"] else name for name in NAMES]


def operation_of(figure: Figure) -> str:
    """Which of kernel entries and so on a figure counts; empty if none."""
    name = str(figure["variant"]).rpartition(", ")[2]
    return name if figure["unit"] == "count" and name in NAMES else ""
