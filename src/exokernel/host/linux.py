# SPDX-License-Identifier: MIT
"""The peer: a real Linux on the very same virtual machine, measured by C programs that do what our applications do.

The kernel is Debian's for clouds, fetched but not installed, or one that the user names. A folder of bench/ may have a
`linux.c`: it is compiled, statically, with what is in bench/peers/linux, and prints the rows of that exhibit for Linux
(measure.h says how). All of a command's programs run in one boot for each setting. A figure's system is `linux`, its
variant the means; with `, default mitigations` the kernel guards against speculation, without it does not.

Nothing here may make Linux slower than its administrator would: where there are several ways all are measured.
"""

import functools
import lzma
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from exokernel.host import debian
from exokernel.host.build import REPOSITORY, cache_folder
from exokernel.host.exhibit import WALL_BOOTS, Context, Figure
from exokernel.host.initramfs import Entry, archive, uncompressed_kernel
from exokernel.host.machine import Machine, measured
from exokernel.host.operations import Operations, counted, counter
from exokernel.host.terminal import Failure

META_PACKAGE = "linux-image-cloud-amd64"
SHARED = REPOSITORY / "bench/peers/linux"
TIMEOUT = 300.0  # seconds of one boot with all programs
# In the order in which they are loaded. Linux finds microvm's devices by ACPI only.
MODULES = ("virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net")
MACHINE = "microvm,acpi=on"
# The time-stamp counter's speed is told, or Linux would measure it against a clock that it takes for a real one.
COUNTED_KHZ = 1_000_000  # under -icount shift=0
COMMAND_LINE = "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t tsc=reliable ipv6.disable=1 random.trust_cpu=on"
SETTINGS = {"": "mitigations=off", ", default mitigations": ""}  # by what is added to the variant
REPEATABLE = ("-seed", "1", "-rtc", "base=2020-01-01,clock=vm")


class Line(NamedTuple):
    """What a program found: the samples of a row, each of so many `operations`, and what was counted beside them."""

    row: str
    variant: str
    unit: str
    operations: int
    samples: tuple[int, ...]
    regions: list[Operations]

    @property
    def values(self) -> list[float]:
        """The samples, each divided by the operations in it."""
        return [sample / self.operations for sample in self.samples]


@dataclass
class Linux:
    """A kernel to boot, and what its boots have found. `programs` are the exhibits' sources by name; `counts` whether
    kernel entries and so on are counted.
    """

    image: Path
    modules: Path
    programs: Mapping[str, Path] = field(default_factory=dict)
    counts: bool = False

    def __post_init__(self) -> None:
        self._found: dict[str, dict[str, list[Line]]] = {}
        self._wall: list[dict[str, list[Line]]] = []
        self.kernel = self._uncompressed()

    def _uncompressed(self) -> Path:
        """The kernel without its packing, in the cache, which starts in a third of the instructions."""
        stamp = self.image.stat()
        place = cache_folder() / "debian" / f"vmlinux-{self.image.name}-{stamp.st_size}-{stamp.st_mtime_ns}"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}")
            temporary.write_bytes(uncompressed_kernel(self.image.read_bytes()))
            temporary.replace(place)
        return place

    @contextmanager
    def machine(
        self,
        files: Mapping[str, Entry],
        words: str = "",
        *,
        command_line: str = COMMAND_LINE,
        kernel: Path | None = None,
        timeout: float = TIMEOUT,
        icount: bool = True,
        extra: tuple[str, ...] = (),
        **changes: Any,
    ) -> Iterator[Machine]:
        """Linux running, with these files and `words` on its command line: our machine, but for ACPI."""
        khz = COUNTED_KHZ if icount else host_khz()
        with tempfile.TemporaryDirectory() as folder:
            initramfs = Path(folder, "initramfs")
            initramfs.write_bytes(archive(files))
            arguments = ("-initrd", str(initramfs), "-append", f"{command_line} tsc_early_khz={khz} {words}".strip())
            options = measured(
                **(
                    {"machine": MACHINE, "icount": icount}
                    | changes
                    | {"extra": (*arguments, *(REPEATABLE if icount else ()), *extra)}
                )
            )
            with Machine(kernel or self.kernel, options, timeout=timeout) as machine:
                yield machine

    def module_files(self) -> dict[str, Entry]:
        """The drivers of the network device, by their place in the initramfs."""
        found = {p.name.split(".")[0]: p for p in self.modules.rglob("*.ko*")}
        files = {}
        for number, name in enumerate(MODULES):
            if name not in found:
                raise Failure(
                    f"there is no module {name} below {self.modules}", "--linux-modules DIR names their folder"
                )
            data = found[name].read_bytes()
            files[f"modules/{number:02}.ko"] = Entry(lzma.decompress(data) if found[name].suffix == ".xz" else data)
        return files

    def results(self, program: str) -> dict[str, list[Line]]:
        """What a program found, by setting. The first question boots Linux for all programs."""
        if not self._found:
            files = compiled(self.programs)
            with ThreadPoolExecutor(len(SETTINGS)) as pool:
                boots = {setting: pool.submit(self.boot, files, words) for setting, words in SETTINGS.items()}
                self._found = {setting: boot.result() for setting, boot in boots.items()}
        return {setting: found[program] for setting, found in self._found.items()}

    def wall_results(self, program: str, boots: int) -> list[list[Line]]:
        """What a program found in each of so many boots by the host's clock, without guards against speculation."""
        if not self._wall:
            files = compiled(self.programs)
            words = f"{SETTINGS['']} WALL=1 programs={','.join(self.programs)}"
            for _ in range(boots):
                with self.machine(files, words, icount=False) as machine:
                    machine.wait()
                    self._wall.append(lines_of(machine, []))
        return [found[program] for found in self._wall]

    def boot(self, files: Mapping[str, Entry], words: str) -> dict[str, list[Line]]:
        """One boot; the lines of each program."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "operations")
            extra = counter(out) if self.counts else ()
            with self.machine(files, f"{words} programs={','.join(self.programs)}", extra=extra) as machine:
                machine.wait()
                return lines_of(machine, counted(out) if self.counts else [])


@functools.cache
def host_khz() -> int:
    """This computer's time-stamp ticks in a millisecond."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "frequency")
        program.write_bytes(compile_c(SHARED / "frequency.c"))
        program.chmod(0o755)
        return int(subprocess.run([program], capture_output=True, text=True, timeout=20, check=True).stdout)


def lines_of(machine: Machine, regions: list[list[Operations]]) -> dict[str, list[Line]]:
    """What was printed, by program. Raises `ValueError` when one failed. `regions` of each line, or nothing."""
    found: dict[str, list[Line]] = {}
    ends = 0
    rows = iter(regions)
    last: tuple[tuple[int, ...], list[Operations]] = (), []
    for text in machine.control:
        if text.startswith("program "):
            lines = found.setdefault(text.removeprefix("program "), [])
        elif text.startswith(("failed", "status")):
            if text != "status 0":
                raise ValueError(f"Linux: {text}\n{machine.transcript()}")
            ends += 1
        else:
            row, variant, unit, operations, numbers = text.split("|")
            samples = tuple(map(int, numbers.split()))
            beside = next(rows, [])[-len(samples) :]  # programs warm up
            if not beside and samples == last[0]:
                beside = last[1]  # the same samples are two rows
            last = samples, beside
            lines.append(Line(row, variant, unit, int(operations), samples, beside))
    if not found or ends != len(found) or next(rows, None) is not None:
        raise ValueError(f"Linux did not run all programs\n{machine.transcript()}")
    return found


def compiled(programs: Mapping[str, Path]) -> dict[str, Entry]:
    """The files of an initramfs: init and each program. A `linux_NAME.c` beside it becomes /bin/NAME, without libc."""
    sources = {"init": SHARED / "init.c"} | {f"bin/{name}": path for name, path in programs.items()}
    bare = {
        f"bin/{source.stem.removeprefix('linux_')}": source
        for path in programs.values()
        for source in path.parent.glob("linux_*.c")
    }
    with ThreadPoolExecutor() as pool:
        data = pool.map(lambda item: compile_c(item[1], bare=item[0] in bare), (sources | bare).items())
        return {name: Entry(binary, executable=True) for name, binary in zip(sources | bare, data, strict=True)}


def compile_c(source: Path, *, bare: bool = False) -> bytes:
    """A static executable; `bare` without libc. Raises `Failure`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise Failure("there is no C compiler for the programs that measure Linux", "apt-get install gcc libc6-dev")
    command = [compiler, "-O2", "-Wall", "-static", "-s", "-Wl,--build-id=none", f"-I{SHARED}"]
    command += ["-nostdlib", "-fno-stack-protector"] if bare else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        done = subprocess.run([*command, "-o", out, source], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failure(f"{source} cannot be compiled:\n{done.stderr}")
        return out.read_bytes()


def find(image: Path | None = None, modules: Path | None = None) -> tuple[Path, Path]:
    """The kernel's image and the folder of its modules: those named, or Debian's. Raises `Failure`."""
    if image:
        if not image.is_file():
            raise Failure(f"{image} does not exist", "--linux-kernel takes a bzImage, or an ELF vmlinux")
        return image, modules or image.parent
    known = sorted((cache_folder() / "debian").glob("linux-image-*-cloud-amd64_*"))
    root = known[-1] if known else debian.unpacked(debian.dependency(META_PACKAGE))
    found = sorted(root.glob("boot/vmlinuz-*"))
    if not found:
        raise Failure(f"there is no kernel in {root}")
    return found[-1], modules or root / "lib/modules"


def programs_of(exhibits: Mapping[str, Path]) -> dict[str, Path]:
    """The sources for Linux beside these exhibits."""
    return {name: source for name, path in exhibits.items() if (source := path.with_name("linux.c")).exists()}


def rows(linux: Linux, folder: Path, context: Context) -> Iterable[Figure]:
    """The figures of an exhibit for Linux: of its `linux.c`, and what its `peer_rows(context, linux)` finds."""
    exhibit = context.exhibit
    if (folder / "linux.c").exists():
        for setting, lines in linux.results(exhibit).items():
            for line in lines:
                variant = f"{line.variant}{setting}"
                unit = "ratio" if line.unit == "ratio" else "instructions"  # a tick, or a nanosecond, is one
                yield context.figure(line.row, unit, line.values, "linux", variant)
                if unit == "instructions":
                    yield from context.operation_figures(line.row, variant, line.regions, line.operations, "linux")
        if context.wall:
            yield from wall_figures(linux, context)
    of_its_own = getattr(sys.modules.get(f"exhibit_{exhibit}"), "peer_rows", None)
    if of_its_own:
        yield from of_its_own(context, linux)


def wall_figures(linux: Linux, context: Context) -> Iterable[Figure]:
    """The median of each row in nanoseconds, of each of several boots: one alone may be off by a factor."""
    nanoseconds = {"ticks": 1e6 / host_khz(), "ns": 1.0}
    for lines in zip(*linux.wall_results(context.exhibit, WALL_BOOTS), strict=True):
        line = lines[0]
        if line.unit in nanoseconds:
            values = [statistics.median(boot.values) * nanoseconds[line.unit] for boot in lines]
            yield context.figure(line.row, "ns", values, "linux", line.variant)


def version(image: Path) -> str:
    """What a bzImage says it is."""
    data = image.read_bytes()[:65536]
    if data[0x202:0x206] != b"HdrS":
        return image.name
    start = int.from_bytes(data[0x20E:0x210], "little") + 0x200
    found = re.match(rb"\S+", data[start : start + 200])
    return found[0].decode() if found else image.name
