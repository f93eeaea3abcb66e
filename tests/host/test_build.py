# SPDX-License-Identifier: MIT
"""The build and its cache: nothing is compiled twice, and nothing stale is ever used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, HELLO, Write

from exokernel.aegis import abi
from exokernel.host.build import BuildError, build
from exokernel.host.image import ENVIRONMENTS, File, read_bundle
from exokernel.host.terminal import Failure

APPLICATION = """
def main() -> None:
    print("first")
"""


def test_an_unchanged_build_compiles_nothing(tmp_path: Path) -> None:
    first = build([HELLO], cache=tmp_path)
    again = build([HELLO], cache=tmp_path)
    assert first.kernel.seconds > 0
    assert first.applications[0].seconds > 0
    assert again.kernel.seconds == again.applications[0].seconds == 0
    assert again.data == first.data
    assert again.seconds < 0.5


def test_an_unchanged_run_imports_neither_compiler_nor_llvm(cache: Path) -> None:
    build([HELLO], cache=cache)
    code = (
        "import sys; from pathlib import Path; from exokernel.host import cli\n"
        f"status = cli.main(['run', {str(HELLO)!r}, '--accel', 'tcg', '--timeout', '60'])\n"
        "heavy = [m for m in sys.modules if m.split('.')[0] in ('llvmlite', 'rich', 'elftools')\n"
        "         or m in ('exokernel.metal.program', 'exokernel.metal.lower', 'exokernel.metal.build')]\n"
        "print('heavy:', heavy)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Hello from environment 0" in run.stdout
    assert "heavy: []" in run.stdout, run.stdout + run.stderr


def test_two_builds_make_the_same_bytes(tmp_path: Path) -> None:
    assert build([HELLO], cache=tmp_path / "a").data == build([HELLO], cache=tmp_path / "b").data


def test_a_changed_application_is_compiled_again(tmp_path: Path, application: Write, cache: Path) -> None:
    path = application(APPLICATION)
    first = build([path], cache=cache)
    # The same size within the same second, which Python's own cache would miss.
    stamp = path.stat()
    path.write_text(APPLICATION.replace("first", "other"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = build([path], cache=cache)
    assert second.kernel.seconds == 0
    assert second.applications[0].seconds > 0
    assert first.applications[0].elf != second.applications[0].elf


def test_everything_that_was_read_counts(tmp_path: Path, application: Write, cache: Path) -> None:
    (tmp_path / "numbers.txt").write_text("17")
    (tmp_path / "helper.py").write_text("WORD = 'helped'\n")
    path = application(
        "from pathlib import Path\nimport helper\n"
        "NUMBER = int(Path(__file__).with_name('numbers.txt').read_text())\n"
        "def main() -> None:\n    print(helper.WORD, NUMBER)\n"
    )
    build([path], cache=cache)
    kept = build([path], cache=cache).applications[0].path
    manifest = json.loads(kept.with_suffix(".json").read_text())
    assert {str(path), str(tmp_path / "helper.py"), str(tmp_path / "numbers.txt")} <= set(manifest["files"])
    assert not any("site-packages" in name and "llvmlite" not in name for name in manifest["files"])
    assert build([path], cache=cache).applications[0].seconds == 0
    (tmp_path / "numbers.txt").write_text("18")
    assert build([path], cache=cache).applications[0].seconds > 0
    (tmp_path / "helper.py").write_text("WORD = 'changed'\n")
    assert build([path], cache=cache).applications[0].seconds > 0


def test_a_damaged_cache_is_only_a_cache(tmp_path: Path) -> None:
    first = build([HELLO], cache=tmp_path)
    for path in (tmp_path / "build").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert build([HELLO], cache=tmp_path).data == first.data


def test_forwards_are_known_without_compiling(tmp_path: Path, application: Write, cache: Path) -> None:
    path = application('FORWARD = ["udp:17777:7", "tcp:18080:80"]\n' + APPLICATION)
    expected = ("udp:17777:7", "tcp:18080:80")
    assert build([path], cache=cache).forward == expected
    again = build([path], cache=cache)
    assert again.applications[0].seconds == 0
    assert again.forward == expected


def test_declared_programs_and_files_are_in_the_bundle(tmp_path: Path, application: Write, cache: Path) -> None:
    (tmp_path / "tools/data").mkdir(parents=True)
    (tmp_path / "motd.txt").write_bytes(b"welcome")
    (tmp_path / "tools/data/table.bin").write_bytes(bytes(5000))
    application(
        'PROGRAMS = ["../application.py", "inner.py"]\nFILES = ["data/table.bin"]\n' + APPLICATION, "tools/worker.py"
    )
    application('FORWARD = ["udp:17778:7"]\nFILES: list[str] = ["../motd.txt"]\n' + APPLICATION, "tools/inner.py")
    path = application(
        'PROGRAMS = ("tools/worker.py",)\nFILES = ["motd.txt", "tools/data/../data/table.bin"]\n' + APPLICATION
    )
    for _ in range(2):  # the second time from the cache
        image = build([path], cache=cache)
        bundle = read_bundle(image.data)
        assert (
            [p.name for p in bundle.programs]
            == [a.name for a in image.applications]
            == ["application", "worker", "inner"]
        )
        assert bundle.boot_count == 1
        assert bundle.files == (
            File("motd.txt", b"welcome"),
            File("tools/data/../data/table.bin", bytes(5000)),
            File("data/table.bin", bytes(5000)),
            File("../motd.txt", b"welcome"),
        )
        assert image.forward == ("udp:17778:7",)
    assert all(a.seconds == 0 for a in image.applications)


def test_a_changed_file_is_noticed_and_nothing_compiled_for_it(tmp_path: Path, application: Write, cache: Path) -> None:
    file = tmp_path / "motd.txt"
    file.write_bytes(b"first")
    path = application('FILES = ["motd.txt"]\n' + APPLICATION)
    build([path], cache=cache)
    stamp = file.stat()
    file.write_bytes(b"other")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    image = build([path], cache=cache)
    assert image.applications[0].seconds == 0
    assert read_bundle(image.path.read_bytes()).files == (File("motd.txt", b"other"),)
    file.unlink()
    with pytest.raises(BuildError, match="cannot be read"):
        build([path], cache=cache)


def test_a_program_that_runs_may_be_declared_too(application: Write, cache: Path) -> None:
    one = application('PROGRAMS = ["two.py", "one.py"]\n' + APPLICATION, "one.py")
    two = application('PROGRAMS = ["one.py"]\n' + APPLICATION, "two.py")
    bundle = read_bundle(build([one, two, one], cache=cache).data)
    assert [p.name for p in bundle.programs] == ["one", "two", "one-2"]
    assert bundle.boot_count == 0  # all of them


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        (
            'FILES = [\n    "there.txt", "absent.txt"]',
            ["'absent.txt' cannot be read: No such file", ":2:18", "^^^", "hint"],
        ),
        ('FILES = ["folder"]', ["'folder' cannot be read: Is a directory", ":1:10"]),
        ('FILES = ["/dev/zero"]', ["'/dev/zero' cannot be read: it is no ordinary file", ":1:10"]),
        ('FILES = [""]', ["'' cannot be read: Is a directory", ":1:10"]),
        (f'FILES = ["{"x" * 112}"]', ["is too long a name", "at most 111 bytes", ":1:10"]),
        ('FILES = "there.txt"', ["FILES: it is a list of printable strings", ":1:1", 'write FILES = ["motd.txt"]']),
        ("FILES = [17]", ["FILES: it is a list of printable strings, and not [17]", ":1:1"]),
        ('FILES = ["\\0"]', ["FILES: it is a list of printable strings", ":1:1"]),
        ('PROGRAMS = ["absent.py"]', ["PROGRAMS: 'absent.py' does not exist", ":1:13", "relative to this file"]),
        ('PROGRAMS = ["there.txt"]', ["'there.txt' is not a Python file", ":1:13"]),
        ('PROGRAMS = ["folder"]', ["'folder' is not a Python file", ":1:13"]),
        (f'PROGRAMS = ["{"x" * 32}.py"]', ["has too long a name", "at most 31 bytes", ":1:13"]),
        ('PROGRAMS = ["folder/application.py"]', ["is a second program named `application`", ":1:13", "rename one"]),
        ('PROGRAMS = ["wrong.py"]', ["wrong.py:2", "x = 5"]),
        ('FORWARD = ["udp:1:2", "udp:7"]', ["'udp:7' is not a port forward", ":1"]),
        ("FORWARD = 7", ["FORWARD: it is a list of printable strings, and not 7", ":1:1"]),
        ("globals()['FILES'] = ['absent.txt']", ["'absent.txt' cannot be read", ":1:1"]),
    ],
)
def test_a_wrong_declaration_is_one_clear_error(
    declaration: str, expected: list[str], tmp_path: Path, application: Write, cache: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.txt").touch()
    for name in ("folder/application.py", f"{'x' * 32}.py"):
        application(APPLICATION, name)
    application("def main() -> None:\n    x = 5\n", "wrong.py")
    path = application(declaration + "\n" + APPLICATION)
    with pytest.raises(BuildError) as caught:
        build([path], cache=cache)
    assert caught.value.status == 2
    for part in [*expected, "application.py" if "wrong" not in declaration else "wrong.py"]:
        assert part in caught.value.message, caught.value.message
    assert "Traceback" not in caught.value.message


def test_two_files_of_one_name_are_an_error_if_they_differ(tmp_path: Path, application: Write, cache: Path) -> None:
    (tmp_path / "other").mkdir()
    text = '\nFILES = ["motd.txt"]\n' + APPLICATION
    paths = [application(text), application(text, "other/application.py")]
    (tmp_path / "motd.txt").write_bytes(b"one")
    (tmp_path / "other/motd.txt").write_bytes(b"one")
    assert read_bundle(build(paths, cache=cache).data).files == (File("motd.txt", b"one"),)
    (tmp_path / "other/motd.txt").write_bytes(b"two")
    with pytest.raises(BuildError) as caught:
        build(paths, cache=cache)
    for part in ("two different files", "other/application.py:2:10", str(tmp_path / "motd.txt")):
        assert part in caught.value.message


def test_nothing_is_written_beside_the_application(tmp_path: Path, application: Write, cache: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    path = application(APPLICATION, "mine/application.py")
    build([path], cache=cache)
    assert list(folder.iterdir()) == [path]


def test_more_applications_than_environments_are_an_error_and_not_a_kernel_that_finds_its_bundle_bad(
    application: Write, cache: Path
) -> None:
    assert ENVIRONMENTS == abi.ENVIRONMENTS
    path = application(APPLICATION)
    assert len(build([path] * ENVIRONMENTS, cache=cache).applications) == ENVIRONMENTS
    with pytest.raises(Failure, match="65 applications are given, and a machine has 64"):
        build([path] * (ENVIRONMENTS + 1), cache=cache)


@pytest.mark.parametrize("name", ["llvmlite.py", "exokernel.py", "json.py", "kernel.py"])
def test_an_application_with_the_name_of_a_library_hides_nothing(
    name: str, tmp_path: Path, application: Write, cache: Path
) -> None:
    (tmp_path / "llvmlite.py").write_text("raise ImportError('the wrong one')\n")
    assert build([application(APPLICATION, name)], cache=cache).applications[0].name == Path(name).stem


def test_a_cache_that_is_full_is_no_bug_of_the_compilers(tmp_path: Path, application: Write) -> None:
    """A limit on the size of files, as a full disk cannot be had here."""
    run = subprocess.run(
        ["prlimit", "--fsize=4096", *COMMAND, "build", str(application(APPLICATION)), "-o", str(tmp_path / "image")],
        env=ENVIRONMENT | {"EXO_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 2 and "cannot write to the cache" in run.stderr, run.stderr
    assert "bug" not in run.stderr and list((tmp_path / "cache/build").iterdir()) == []


def test_equal_names_are_told_apart(tmp_path: Path, application: Write, cache: Path) -> None:
    (tmp_path / "other").mkdir()
    one, two = application(APPLICATION), application(APPLICATION, "other/application.py")
    image = build([one, two, one], cache=cache)
    assert [a.name for a in image.applications] == ["application", "application-2", "application-3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n", ["has no function `main`", "application.py:1"]),
        ("def main() -> None:\n    print(1 +)\n", ["invalid syntax", "application.py:2", "print(1 +)", "^"]),
        ("def main() -> None:\n    x = 5\n", ["application.py:2", "x = 5", "^"]),
        ("import nothing_like_it\ndef main() -> None:\n    pass\n", ["No module named", "application.py:1"]),
        (
            "def table() -> int:\n    return 1 // 0\nT = table()\ndef main() -> None:\n    pass\n",
            ["ZeroDivisionError", "application.py:2", "return 1 // 0"],
        ),
        ("raise SystemExit(3)\n", ["SystemExit", "application.py:1"]),
        ("FORWARD = ['udp:7']\ndef main() -> None:\n    pass\n", ["'udp:7' is not a port forward", "application.py"]),
        (
            "from exokernel.metal import asm\ndef main() -> None:\n    asm('frobnicate rax', '')\n",
            ["frobnicate"],
        ),
        ("def main(x: int) -> None:\n    pass\n", ["`main` has no parameters", "application.py:1:1", "def main(x"]),
        (
            "from __future__ import annotations\ndef main(x: Nothing) -> None:\n    pass\n",
            ["`main` has no parameters", "application.py:2:1"],
        ),
        (
            "def main() -> str:\n    return 'x'\n",
            ["`main` returns nothing, an integer or a bool", "application.py:1:1"],
        ),
        ("import os\nos._exit(3)\n", ["application.py ended with status 3", "module level"]),
        ("import os\nos.kill(os.getpid(), 11)\n", ["application.py ended by signal 11", "module level"]),
        ("raise KeyboardInterrupt\n", ["KeyboardInterrupt", "application.py:1"]),
        ("def main() -> None:\n    pass\n\0", ["null bytes", "application.py:1"]),
        (
            "from exokernel.metal import *\n@struct\nclass A:\n    x: u32\n    def __init__(self) -> None: ...\n",
            ["A.__init__: a struct has no special methods", "application.py:2"],
        ),
    ],
)
def test_a_wrong_program_is_one_clear_error(text: str, expected: list[str], application: Write, cache: Path) -> None:
    with pytest.raises(BuildError) as caught:
        build([application(text)], cache=cache)
    assert caught.value.status == 2
    for part in expected:
        assert part in caught.value.message
    assert "Traceback" not in caught.value.message
    assert caught.value.message.count("error") <= 3


def test_all_wrong_programs_are_reported_at_once(tmp_path: Path, application: Write, cache: Path) -> None:
    one, two = application("x = 1\n", "one.py"), application("y = 1\n", "two.py")
    with pytest.raises(BuildError) as caught:
        build([one, two], cache=cache)
    assert "one.py" in caught.value.message
    assert "two.py" in caught.value.message


def test_what_a_module_prints_is_not_the_guests_output(tmp_path: Path, application: Write, cache: Path) -> None:
    path = application("print('while importing')\n" + APPLICATION)
    output = tmp_path / "image.elf"
    run = subprocess.run(
        [*COMMAND, "build", str(path), "-o", str(output)],
        env=ENVIRONMENT | {"EXO_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert "while importing" in run.stderr


def test_paths_that_cannot_be_applications(tmp_path: Path, application: Write, cache: Path) -> None:
    application(APPLICATION, "one.py")
    with pytest.raises(Failure, match="is a directory") as caught:
        build([tmp_path])
    assert "one.py" in caught.value.hint
    with pytest.raises(Failure, match="does not exist"):
        build([tmp_path / "absent.py"])
    with pytest.raises(Failure, match="is not a Python file"):
        build([application("", "notes.txt")])
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(Failure, match="is not a Python file"):
        build([tmp_path / "pipe.py"])
