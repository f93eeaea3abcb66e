# SPDX-License-Identifier: MIT
"""From applications, and the programs and files that they declare, to a bootable image, compiling only what changed.

Each program is compiled by a child process (`worker`), the kernel and the applications side by side, and kept in the
cache with a manifest of every file that was read for it. While that holds, neither the compiler nor LLVM is imported.
The cache is only ever a copy: deleting it costs one build.
"""

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from exokernel.host.image import ENVIRONMENTS, FILE_NAME_BYTES, NAME_BYTES, Bundle, File, Program, assemble
from exokernel.host.terminal import Failure, colored, progress

KERNEL_MODULE = "exokernel.aegis.kernel"
TRACED_MODULE = "exokernel.aegis.traced"  # the same, and it records what it does
COMPILE_TIMEOUT = 300  # seconds; a module that never finishes importing must not hang the build
WRONG_PROGRAM, INTERNAL_ERROR = 2, 70  # the worker's exit status

REPOSITORY = Path(__file__).resolve().parents[3]


class BuildError(Failure):
    """One or more programs are wrong; the message is already rendered."""

    def render(self, color: bool = False) -> str:
        del color
        return self.message


class Declared(NamedTuple):
    """One string of an application's FORWARD, PROGRAMS or FILES, and where it stands in the source."""

    text: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True)
class Compiled:
    """A linked program in the cache. `forward`, `programs` and `files` are what the application declares in FORWARD,
    PROGRAMS and FILES; `seconds` is 0 for an unchanged one.
    """

    name: str
    source: str
    path: Path
    elf: bytes
    forward: tuple[Declared, ...] = ()
    programs: tuple[Declared, ...] = ()
    files: tuple[Declared, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Image:
    """A bootable image and what it was made of. `applications` are started at boot, in this order; then come those that
    are there to be spawned.
    """

    path: Path
    data: bytes
    kernel: Compiled
    applications: tuple[Compiled, ...]
    seconds: float

    @property
    def forward(self) -> tuple[str, ...]:
        """The default port forwards of all applications, each once."""
        return tuple(dict.fromkeys(f.text for a in self.applications for f in a.forward))


def cache_folder() -> Path:
    """Where compiled programs are kept: $EXO_CACHE, or `.cache` of the repository, or the user's cache directory."""
    if chosen := os.environ.get("EXO_CACHE"):
        return Path(chosen).resolve()
    if (REPOSITORY / "pyproject.toml").exists() and os.access(REPOSITORY, os.W_OK):
        return REPOSITORY / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exokernel"


def cannot_write(folder: Path, error: OSError) -> Failure:
    """What to tell a person whose cache cannot be written."""
    return Failure(f"cannot write to the cache {folder}: {error.strerror}", "set EXO_CACHE to another folder")


def build(applications: list[Path], *, cache: Path | None = None, slice_ticks: int = 0, traced: bool = False) -> Image:
    """Compile the kernel and `applications` (files, the first becomes environment 0) and assemble the image.
    `traced` takes the kernel that records what it does.

    Raises `Failure` for files that cannot be applications, `BuildError` for programs with errors in them.
    """
    started = time.monotonic()
    folder = (cache or cache_folder()) / "build"
    paths = [_checked(path) for path in applications]
    if len(paths) > ENVIRONMENTS:
        raise Failure(
            f"{len(paths)} applications are given, and a machine has {ENVIRONMENTS} environments",
            "declare in PROGRAMS what is to be started later",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    module = TRACED_MODULE if traced else KERNEL_MODULE
    kernel, *programs = _compile_all([("kernel", module), *(("application", str(p)) for p in paths)], folder)

    names = _unique_names([p.stem for p in paths])
    programs = [replace(program, name=name) for name, program in zip(names, programs, strict=True)]
    first = 0
    while first < len(programs):  # those that were found last may declare further ones
        found = _declared_programs(programs[first:], {p.name: p.source for p in programs})
        first = len(programs)
        compiled = _compile_all([("application", source) for source in found.values()], folder)
        programs += [replace(program, name=name) for name, program in zip(found, compiled, strict=True)]
    bundle = Bundle(
        tuple(Program.from_elf(p.name, p.elf) for p in programs), _declared_files(programs), len(paths), slice_ticks
    )
    data = assemble(kernel.elf, bundle)
    path = folder / f"{'+'.join(names)[:80]}-{_digest(*map(str, paths), str(slice_ticks), module)}.image.elf"
    if not path.exists() or path.read_bytes() != data:
        _write(path, data)
    return Image(path, data, kernel, tuple(programs), time.monotonic() - started)


def _checked(path: Path) -> Path:
    """`path` as an absolute one, if it can be an application at all."""
    if path.is_dir():
        files = sorted(f.name for f in path.glob("*.py") if not f.name.startswith("_"))
        hint = f"name one of its files: {', '.join(files[:8])}" if files else ""
        raise Failure(f"{path} is a directory; an application is a Python file", hint)
    if not path.exists():
        raise Failure(f"{path} does not exist", "give the path of a Python file with a function `main`")
    if path.suffix != ".py" or not path.is_file():
        raise Failure(f"{path} is not a Python file (.py)")
    return path.resolve()


def _declared_programs(programs: list[Compiled], present: dict[str, str]) -> dict[str, str]:
    """The files of the programs that `programs` declare, by name, without those that are present."""
    known = dict(present)
    for program in programs:
        for declared in program.programs:
            path = (Path(program.source).parent / declared.text).resolve()
            if path.suffix != ".py" or not path.is_file():
                complaint = "is not a Python file (.py)" if path.exists() else "does not exist"
                raise _wrong(program, declared, "PROGRAMS", complaint, "paths are relative to this file's folder")
            if len(path.stem.encode()) >= NAME_BYTES:
                hint = f"a program's name is its file's, without .py: at most {NAME_BYTES - 1} bytes"
                raise _wrong(program, declared, "PROGRAMS", "has too long a name", hint)
            if known.setdefault(path.stem, str(path)) != str(path):
                hint = f"rename one of them; the other is {known[path.stem]}"
                raise _wrong(program, declared, "PROGRAMS", f"is a second program named `{path.stem}`", hint)
    return {name: source for name, source in known.items() if name not in present}


def _declared_files(programs: list[Compiled]) -> tuple[File, ...]:
    """The files that `programs` declare, as they are now, each name once."""
    files: dict[str, File] = {}
    owners: dict[str, Path] = {}
    for program in programs:
        for declared in program.files:
            path = (Path(program.source).parent / declared.text).resolve()
            if len(declared.text.encode()) >= FILE_NAME_BYTES:
                hint = f"a file is found by the path that is declared: at most {FILE_NAME_BYTES - 1} bytes"
                raise _wrong(program, declared, "FILES", "is too long a name", hint)
            try:
                if path.exists() and not (path.is_file() or path.is_dir()):  # a device may have no end
                    raise OSError(errno.EINVAL, "it is no ordinary file")
                data = path.read_bytes()
            except OSError as error:
                hint = "paths are relative to this file's folder, and a folder's files are declared one by one"
                raise _wrong(program, declared, "FILES", f"cannot be read: {error.strerror}", hint) from None
            if files.setdefault(declared.text, File(declared.text, data)).data != data:
                hint = f"rename one of them; the other is {owners[declared.text]}"
                raise _wrong(program, declared, "FILES", "is the name of two different files", hint)
            owners.setdefault(declared.text, path)
    return tuple(files.values())


def _wrong(program: Compiled, declared: Declared, name: str, complaint: str, hint: str) -> BuildError:
    """An error in a declaration."""
    from exokernel.metal.errors import Diagnostic

    message = f"{name}: {declared.text!r} {complaint}"
    return BuildError(
        Diagnostic(message, program.source, *declared[1:], hint=hint).render(colored()), status=WRONG_PROGRAM
    )


def _unique_names(stems: list[str]) -> list[str]:
    """Names that the bundle can hold (31 bytes), each once."""
    names: list[str] = []
    for stem in stems:
        name, number = stem.encode()[:28].decode(errors="ignore"), 2
        while name in names:
            name, number = f"{stem.encode()[:25].decode(errors='ignore')}-{number}", number + 1
        names.append(name)
    return names


def _compile_all(programs: list[tuple[str, str]], folder: Path) -> list[Compiled]:
    """Every (kind, module or path), from the cache or from child processes that run side by side."""
    places = {p: folder / f"{p[0]}-{Path(p[1]).stem[:60]}-{_digest(*p)}" for p in programs}
    ready = {p: _cached(p, place) for p, place in places.items()}
    missing = [p for p, found in ready.items() if found is None]
    if missing:
        names = " and ".join(Path(source).name if kind == "application" else kind for kind, source in missing)
        with progress(f"Compiling {names} ..."):
            seconds = _run_workers(missing, places)
        for program in missing:
            found = _cached(program, places[program])
            if found is None:
                raise Failure(f"{program[1]} changed while it was compiled", "run the command again")
            ready[program] = replace(found, seconds=seconds[program])
    return [compiled for p in programs if (compiled := ready[p]) is not None]


def _run_workers(programs: list[tuple[str, str]], places: dict[tuple[str, str], Path]) -> dict[tuple[str, str], float]:
    """Compile `programs`; the time each took, in seconds. Raises `BuildError` with everything that was wrong."""
    started = time.monotonic()
    workers = {}
    for program in programs:
        command = [sys.executable, "-P", "-m", "exokernel.host.worker", *program, str(places[program])]
        command += ["--color"] if colored() else []
        workers[program] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
    seconds, complaints, status = {}, [], WRONG_PROGRAM
    try:
        for program, worker in workers.items():
            try:
                output = worker.communicate(timeout=COMPILE_TIMEOUT)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                raise Failure(f"compiling {program[1]} took more than {COMPILE_TIMEOUT} s, given up") from None
            seconds[program] = time.monotonic() - started
            if worker.returncode == 0:
                sys.stderr.write(output)  # what the program printed while it was imported
            else:
                complaints.append(_complaint(program, worker.returncode, output))
                if worker.returncode == INTERNAL_ERROR:
                    status = INTERNAL_ERROR
    finally:
        for worker in workers.values():
            if worker.poll() is None:
                worker.kill()
                worker.wait()
    if complaints:
        # The kernel and the library are often wrong in the same line.
        raise BuildError("\n\n".join(dict.fromkeys(complaints)), status=status)
    return seconds


def _complaint(program: tuple[str, str], status: int, output: str) -> str:
    if status in (WRONG_PROGRAM, INTERNAL_ERROR):
        return output.rstrip("\n")
    if "error:" not in output:
        # Nobody said why: the program's own module level ended the process, or the computer's memory did.
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        said = f"\n{output.rstrip()}" if output.strip() else ""
        return (
            Failure(f"compiling {program[1]} ended {ended}", "what stands at module level runs here").render(colored())
            + said
        )
    # LLVM ended the worker: it does so on assembly text that it cannot read.
    from exokernel.metal.backend import llvm_diagnostic

    diagnostic = llvm_diagnostic(output)
    return f"{diagnostic.render(colored())}\n(while compiling {program[1]})"


# The cache. Beside NAME.elf lies NAME.json: what the program was made of.


def environment() -> str:
    """What else than source files decides the compiler's output."""
    return f"{sys.version} {sys.platform}"


def llvm_version_file() -> Path | None:
    """A file that changes with llvmlite's version, found without importing it."""
    found = find_spec("llvmlite")
    return Path(found.origin).with_name("_version.py") if found and found.origin else None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content; empty for a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def store(place: Path, elf: bytes, files: list[Path], declared: dict[str, list[Declared]], started: float) -> None:
    """Keep a compiled program: called by the worker, which began at `started` (seconds since the epoch).

    A file written since then may not be the one that was read: its digest is left empty, which no file has.
    """
    manifest = {
        "environment": environment(),
        "files": {str(p): digest_of(p) if p.stat().st_mtime < started else "" for p in files},
        "declared": declared,
        "elf": hashlib.sha256(elf).hexdigest(),
    }
    _write(place.with_name(place.name + ".elf"), elf)
    _write(place.with_name(place.name + ".json"), json.dumps(manifest, indent=1).encode())


def _cached(program: tuple[str, str], place: Path) -> Compiled | None:
    """The program from the cache, if everything it was made of is unchanged."""
    path = place.with_name(place.name + ".elf")
    try:
        manifest = json.loads(place.with_name(place.name + ".json").read_bytes())
        elf = path.read_bytes()
        if manifest["environment"] != environment() or manifest["elf"] != hashlib.sha256(elf).hexdigest():
            return None
        if any(digest_of(Path(name)) != digest for name, digest in manifest["files"].items()):
            return None
        declared = {name: tuple(Declared(*d) for d in found) for name, found in manifest["declared"].items()}
        forward, programs, files = (declared.get(name, ()) for name in ("FORWARD", "PROGRAMS", "FILES"))
        return Compiled(program[0], program[1], path, elf, forward, programs, files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent or damaged: as if it were not there


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _write(path: Path, data: bytes) -> None:
    """Replace `path` at once, so that nobody ever reads half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path.parent, error) from None
