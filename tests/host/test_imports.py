# SPDX-License-Identifier: MIT
"""Imports go one way: host -> metal; examples -> exos -> aegis.abi -> metal; aegis -> machine -> metal."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src/exokernel"

# What each part may import of the house. The library may use the user-level instructions in machine.cpu.
ALLOWED = {
    "metal": ("exokernel.metal",),
    "machine": ("exokernel.machine", "exokernel.metal"),
    "aegis": ("exokernel.aegis", "exokernel.machine", "exokernel.metal"),
    "exos": ("exokernel.exos", "exokernel.aegis.abi", "exokernel.machine.cpu", "exokernel.metal"),
    "host": ("exokernel.host", "exokernel.metal"),
    "examples": ("exokernel.exos", "exokernel.aegis.abi", "exokernel.machine.cpu", "exokernel.metal"),
}
# An application is compiled from the library's entry, which the process that compiles imports first; the interface's
# document is written from its declarations.
EXCEPTIONS = {
    ("host/worker.py", "exokernel.exos.start"),
    ("host/interface_document.py", "exokernel.aegis.abi"),
    ("host/interface.py", "exokernel.aegis.abi"),
    ("host/interface_document.py", "exokernel.exos.aegis"),
    ("host/interface_document.py", "exokernel.exos.ash"),
}
# A handler is compiled while the image is built, and a refusal is explained in the words of the inspection.
EXCEPTIONS |= {
    ("exos/ash.py", "exokernel.host.ash_object"),
    ("exos/ash.py", "exokernel.aegis.ebpf"),
    ("exos/ash.py", "exokernel.aegis.handler_abi"),
}
# What counts or reads the kernel from outside must know where it keeps what.
EXCEPTIONS |= {("host/profile_plugin.py", f"exokernel.aegis.{m}") for m in ("abi", "environment", "exceptions")}
EXCEPTIONS |= {("host/profile_plugin.py", "exokernel.machine.paging")}
EXCEPTIONS |= {(f"host/{f}.py", f"exokernel.aegis.{m}") for f in ("trace", "trace_ring") for m in ("abi", "trace_abi")}
# Handlers are checked and run on the workstation by the kernel's own code, which therefore needs nothing of a kernel.
HANDLERS = ("ebpf", "inspection", "translation", "helpers")
EXCEPTIONS |= {(f"host/{p.name}", f"exokernel.aegis.{h}") for p in PACKAGE.glob("host/ash*.py") for h in HANDLERS}


@pytest.mark.parametrize("name", HANDLERS)
def test_the_code_of_handlers_needs_no_kernel(name: str) -> None:
    allowed = ("exokernel.metal", "exokernel.aegis.abi", *(f"exokernel.aegis.{handler}" for handler in HANDLERS))
    assert imported(PACKAGE / f"aegis/{name}.py", "exokernel.aegis") <= set(allowed)


def imported(path: Path, package: str) -> set[str]:
    """Every module of the house that a file imports, `from package import module` included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            modules = {f"{base}.{alias.name}" for alias in node.names if is_module(f"{base}.{alias.name}")}
            named = {alias.name for alias in node.names if not is_module(f"{base}.{alias.name}")}
            found |= modules | ({base} if named else set())
    return {name for name in found if name.split(".")[0] == "exokernel"}


def is_module(name: str) -> bool:
    place = REPOSITORY / "src" / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def violations(path: Path, part: str) -> list[str]:
    package = f"exokernel.{part}"
    short = f"{part}/{path.name}"
    return [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for name in sorted(imported(path, package))
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[part])
        and (short, name) not in EXCEPTIONS
    ]


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_go_one_way(part: str) -> None:
    folder = REPOSITORY / "examples" if part == "examples" else PACKAGE / part
    files = sorted(folder.rglob("*.py"))
    assert files
    assert [v for path in files for v in violations(path, part)] == []


def test_every_part_has_a_rule() -> None:
    parts = {p.name for p in PACKAGE.iterdir() if p.is_dir() and not p.name.startswith("__")}
    assert parts == set(ALLOWED) - {"examples"}


@pytest.mark.parametrize(
    "text",
    [
        "import exokernel.aegis.kernel",
        "from exokernel.aegis import frames",
        "from exokernel.aegis.frames import claim",
        "from exokernel import host",
        "from ..machine import boot",
        "def f():\n    from exokernel.host.build import build",
    ],
)
def test_a_forbidden_import_is_found(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert imported(path, "exokernel.exos")
    assert not any(
        name == allowed or name.startswith(f"{allowed}.")
        for name in imported(path, "exokernel.exos")
        for allowed in ALLOWED["exos"]
    )
