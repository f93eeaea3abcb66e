# SPDX-License-Identifier: MIT
"""The build and its cache: nothing is compiled twice, and nothing stale is ever used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, HELLO, Write

from exokernel.host.build import BuildError, build
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


def test_nothing_is_written_beside_the_application(tmp_path: Path, application: Write, cache: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    path = application(APPLICATION, "mine/application.py")
    build([path], cache=cache)
    assert list(folder.iterdir()) == [path]


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
