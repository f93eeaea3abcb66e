# SPDX-License-Identifier: MIT
"""`exo` as its users meet it: a process with arguments, two streams and a status."""

import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, CRASH, ENVIRONMENT, HELLO, REPOSITORY, Exo, Write

HANGING = 'def main() -> None:\n    print("ready")\n    while True:\n        pass\n'
STATUS = "from exokernel.metal import i32\ndef main() -> i32:\n    return 42\n"


def qemu_processes(image_name: str) -> list[int]:
    """QEMUs that run this image."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"qemu" in words[0] and any(image_name.encode() in word for word in words):
            found.append(int(folder.name))
    return found


def test_hello(exo: Exo) -> None:
    run = exo("run", HELLO)
    assert run.returncode == 0
    assert run.stdout.startswith("Hello from environment 0\n")
    assert run.stderr == ""


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_same_image_on_other_machines(machine: str, exo: Exo) -> None:
    by_option, by_qemu = exo("run", HELLO, "--machine", machine), exo("run", HELLO, "-v", "--", "-M", machine)
    for run in (by_option, by_qemu):
        assert run.returncode == 0, run.stderr
        assert run.stdout.startswith("Hello from environment 0\n")
    assert f"-M {machine} " in by_qemu.stderr


def test_a_closed_standard_output_is_nobody_listening(cache: Path) -> None:
    """QEMU was given a closed descriptor and failed an assertion."""
    command = f"{shlex.join([*COMMAND, 'run', str(HELLO)])} <&- >&-"
    done = subprocess.run(
        command,
        shell=True,
        env=ENVIRONMENT | {"EXO_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_on_a_full_disk() -> None:
    command = f"{shlex.join(COMMAND)} --help >/dev/full"
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "PYTHONUNBUFFERED"}  # argparse hides what it meets
    done = subprocess.run(
        command, shell=True, env=environment, stderr=subprocess.PIPE, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: cannot write the output: No space left on device\n")


def test_the_status_is_the_applications(exo: Exo, application: Write) -> None:
    assert exo("run", application(STATUS)).returncode == 42


def test_a_crash_is_explained(exo: Exo) -> None:
    run = exo("run", CRASH)
    assert run.returncode == 128 + 6
    assert "crash: crash (environment 0): index out of range" in run.stderr
    assert "examples/crash.py:" in run.stderr
    assert "in third" in run.stderr
    assert "return primes[numbers]" in run.stderr
    assert "rax 0000000000000009" in run.stderr
    assert "\033" not in run.stderr


def test_verbose_shows_a_command_that_can_be_pasted(exo: Exo) -> None:
    run = exo("run", HELLO, "-v")
    assert run.returncode == 0
    line = next(line for line in run.stderr.splitlines() if line.startswith("qemu-system-x86_64 "))
    again = subprocess.run(
        ["bash", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 1  # what the machine's orderly end makes of QEMU's status
    assert again.stdout == run.stdout
    assert "exit status=0x0" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "nowhere.py"], "nowhere.py does not exist"),
        (["run", "."], ". is a directory"),
        (["build", "nowhere.py", "-o", "x"], "does not exist"),
        (["run", HELLO, "--forward", "udp:x:7"], "'udp:x:7' is not a port forward"),
        (["run", HELLO, "--link", "nonsense"], "'nonsense' is not a link"),
        (["run", HELLO, "--link", "dgram:a:b", "--forward", "udp:7777:7"], "exclude each other"),
        (["run", HELLO, "--memory", "1"], "the image does not fit into 1 MiB"),
        (["run", HELLO, "--icount", "--accel", "kvm"], "cannot be used with KVM"),
        (["build", HELLO, "-o", "/nowhere/image"], "cannot write /nowhere/image"),
        (["trace", HELLO, "-o", "/nowhere/trace"], "cannot write /nowhere/trace"),  # and nothing has run in vain
        (["profile", HELLO, "-o", "/nowhere/stacks"], "cannot write /nowhere/stacks"),
        (["bench", "primitives", "--json", "/nowhere/figures"], "cannot write /nowhere/figures"),
        (["bench", "primitives", "--html", "/nowhere/report"], "cannot write /nowhere/report"),
        (["debug", HELLO, "--batch", "nowhere.gdb"], "not a file of gdb commands"),
        (["bench", "nothing"], "there is no exhibit nothing"),
    ],
)
def test_mistakes_are_one_clear_error(arguments: list[object], expected: str, exo: Exo) -> None:
    run = exo(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert expected in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) <= 2


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "a.py", "--memory", "0"], ["run", "a.py", "--no"]])
def test_a_wrong_command_line_shows_the_usage(arguments: list[str], exo: Exo) -> None:
    run = exo(*arguments)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: exo")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("verb", ["run", "build", "debug", "trace", "profile", "doctor", "bench"])
def test_every_verb_has_help(verb: str, exo: Exo) -> None:
    run = exo(verb, "--help")
    assert run.returncode == 0
    assert run.stdout.startswith(f"usage: exo {verb}")


def test_the_verbs_are_listed(exo: Exo) -> None:
    run = exo("--help")
    assert run.returncode == 0
    for verb in ("run", "build", "test", "debug", "trace", "profile", "doctor", "bench"):
        assert f"    {verb} " in run.stdout


def test_a_compile_error_is_shown_with_its_place(exo: Exo, application: Write) -> None:
    run = exo("run", application("def main() -> None:\n    x = 5\n"))
    assert run.returncode == 2
    assert run.stdout == ""
    assert "error" in run.stderr
    assert "application.py:2" in run.stderr
    assert "^" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_busy_port(exo: Exo) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        run = exo("run", HELLO, "--forward", f"udp:{port}:7")
    assert run.returncode == 2
    assert run.stdout == ""
    assert f"port {port}/udp" in run.stderr
    assert len(run.stderr.splitlines()) == 2


def test_no_qemu(exo: Exo, tmp_path: Path) -> None:
    run = exo("run", HELLO, PATH=str(tmp_path))
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "error: qemu-system-x86_64 is not installed",
        "hint: on Debian or Ubuntu: apt-get install qemu-system-x86",
    ]


def test_qemus_own_refusal_is_shown(exo: Exo) -> None:
    run = exo("run", HELLO, "--", "-nonsense")
    assert run.returncode == 2
    assert "-nonsense: invalid option" in run.stderr
    assert "Traceback" not in run.stderr


def test_time_is_limited(exo: Exo, application: Write) -> None:
    path = application(HANGING, f"overtime_{os.getpid()}.py")  # the tests may run twice at a time
    run = exo("run", path, "--timeout", "3")
    assert run.returncode == 124
    assert run.stdout == "ready\n"
    assert "still running after 3 s" in run.stderr
    assert qemu_processes(path.stem) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_behind(number: signal.Signals, cache: Path, application: Write) -> None:
    path = application(HANGING, f"hanging_{number.name.lower()}_{os.getpid()}.py")
    process = subprocess.Popen(
        [*COMMAND, "run", str(path)],
        env=ENVIRONMENT | {"EXO_CACHE": str(cache)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        assert len(qemu_processes(path.stem)) == 1
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert "Traceback" not in process.stderr.read()
    assert qemu_processes(path.stem) == []


@pytest.mark.skipif(Path(sys.prefix) != REPOSITORY / ".venv", reason="these tests were not started by ./exo test")
def test_ctrl_c_while_python_starts_is_no_traceback(tmp_path: Path) -> None:
    """Sent when `exo` has become the command line and that has not said anything yet: it waits and is obeyed."""
    hello = [str(REPOSITORY / "exo"), "run", str(HELLO)]
    starting = b"exokernel.host.cli"
    with subprocess.Popen(
        hello,
        env=os.environ | {"EXO_CACHE": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while starting not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait(60) == 128 + signal.SIGINT


def test_what_is_typed_reaches_the_console_and_ctrl_c_ends(cache: Path, application: Write) -> None:
    """In a terminal, with a terminal's own Ctrl-C."""
    path = application(HANGING, f"in_a_terminal_{os.getpid()}.py")
    child, terminal = pty.fork()
    if child == 0:
        os.environ["EXO_CACHE"] = str(cache)
        os.environ["PYTHONPATH"] = ENVIRONMENT["PYTHONPATH"]
        os.execv(sys.executable, [*COMMAND, "run", str(path)])
    try:
        seen = b""
        deadline = time.monotonic() + 60
        while b"ready" not in seen and time.monotonic() < deadline:
            seen += os.read(terminal, 4096)
        assert b"ready" in seen
        os.write(terminal, b"typed\n")
        time.sleep(0.2)
        assert len(qemu_processes(path.stem)) == 1
        os.write(terminal, b"\x03")
        status = os.waitpid(child, 0)[1]
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert qemu_processes(path.stem) == []


def test_an_image_can_be_built_and_booted_by_qemu_alone(exo: Exo, tmp_path: Path) -> None:
    run = exo("build", HELLO, "-o", "hello.elf")
    assert run.returncode == 0, run.stderr
    assert "built: hello.elf" in run.stderr
    booted = subprocess.run(
        [
            *("qemu-system-x86_64", "-M", "microvm,acpi=off", "-cpu", "max", "-m", "16", "-nodefaults", "-display"),
            *("none", "-no-reboot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
            *("-kernel", str(tmp_path / "hello.elf")),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert booted.stdout.startswith("Hello from environment 0\n")


def test_test_runs_pytest(exo: Exo) -> None:
    run = exo("test", "--collect-only", "-q", "tests/metal/test_linker.py")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "test_symbols_bounds_and_entry" in run.stdout


def test_doctor(exo: Exo) -> None:
    run = exo("doctor")
    assert "QEMU emulator version" in run.stdout
    for what in ("Python", "llvmlite", "KVM", "gdb", "ping"):
        assert what in run.stdout
    assert run.returncode == 0


def test_doctor_says_what_to_install(exo: Exo, tmp_path: Path) -> None:
    run = exo("doctor", PATH=str(tmp_path))
    assert "apt-get install qemu-system-x86" in run.stdout
    assert run.returncode == 1


@pytest.mark.skipif(Path(sys.prefix) != REPOSITORY / ".venv", reason="these tests were not started by ./exo test")
def test_the_entry_works_from_anywhere_with_an_empty_environment(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise SystemExit('a module of the folder was imported')")
    run = subprocess.run(
        [REPOSITORY / "exo", "--help"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("usage: exo")
    assert run.stderr == ""
