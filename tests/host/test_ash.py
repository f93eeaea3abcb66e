# SPDX-License-Identifier: MIT
"""`exo ash`: handlers checked and run from the command line, as processes."""

import json
import os
import shlex
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest
from tests.host.commands import COMMAND, ENVIRONMENT, REPOSITORY

from exokernel.host.ash_generator import Generator, instruction, wide
from exokernel.host.ash_object import linked
from exokernel.host.ash_worker import Pool
from exokernel.host.terminal import Failure

EXIT = instruction(0x95)
ANSWER = instruction(0xB7, 0, immediate=42) + EXIT
LENGTH = instruction(0xBF, 0, 2) + EXIT
FIRST_WORD = instruction(0x61, 0, 1) + EXIT
FOREVER = instruction(0x05, offset=-1)


def ash(*arguments: object, program: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "ash", *map(str, arguments)],
        env=ENVIRONMENT,
        input=program,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


# ---- run


@pytest.mark.parametrize("how", [(), ("--interpret",)])
def test_run_prints_the_result_in_hexadecimal(how: tuple[str, ...]) -> None:
    done = ash("run", *how, program=ANSWER.hex(" "))
    assert (done.returncode, done.stdout, done.stderr) == (0, "0x2a\n", "")
    done = ash("run", *how, "--memory", "0102030405", program=LENGTH.hex())
    assert (done.returncode, done.stdout) == (0, "0x5\n")
    done = ash("run", *how, "--memory", "01 02 03 04", program=FIRST_WORD.hex())
    assert (done.returncode, done.stdout) == (0, "0x4030201\n")


@pytest.mark.parametrize("how", [(), ("--interpret",)])
def test_run_of_a_program_that_goes_wrong(how: tuple[str, ...]) -> None:
    for program, memory, words in (
        (FIRST_WORD, "010203", ("aborted at instruction 0", "not its own")),
        (FOREVER, "", ("aborted at instruction 0", "budget")),
        (instruction(0x8D) + EXIT, "", ("refused at instruction 0", "through a register")),
        (EXIT, "", ("refused at instruction 0", "r0")),
        (b"\x95", "", ("refused at instruction 0", "multiple of 8")),
    ):
        done = ash("run", *how, "--memory", memory, program=program.hex())
        assert (done.returncode, done.stdout) == (1, "")
        assert all(word in done.stderr for word in words), done.stderr


def test_run_of_a_packet() -> None:
    program = instruction(0x61, 2, 1, 0) + instruction(0x61, 0, 1, 4) + instruction(0x1F, 0, 2) + EXIT
    done = ash("run", "--packet", bytes(60).hex(), program=program.hex())
    assert (done.returncode, done.stdout) == (0, "0x3c\n")


def test_the_plugin_of_the_conformance_suite() -> None:
    """Memory is an argument, the program is on standard input, the result has no prefix."""
    done = ash("run", "--plugin", "01 02 03 04", program=FIRST_WORD.hex(" "))
    assert (done.returncode, done.stdout) == (0, "4030201\n")
    done = ash("run", "--plugin", program=wide(0, 2**64 - 1).hex(" ") + " " + EXIT.hex(" "))
    assert (done.returncode, done.stdout) == (0, "f" * 16 + "\n")
    done = ash("run", "--plugin", "", program=FIRST_WORD.hex(" "))
    assert (done.returncode, done.stdout) == (1, "") and "aborted" in done.stderr


def test_a_cache_that_cannot_be_written_is_no_bug_of_ours() -> None:
    for arguments in (("run",), ("batch",), ("check", __file__)):
        done = subprocess.run(
            [*COMMAND, "ash", *arguments],
            env=ENVIRONMENT | {"EXO_CACHE": "/dev/null"},
            input=ANSWER.hex(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 2 and "bug" not in done.stderr, done.stderr
        if arguments[0] != "check":
            assert "cannot write to the cache /dev/null: " in done.stderr and "EXO_CACHE" in done.stderr


def test_mistakes_on_the_command_line() -> None:
    for arguments, text in (
        (("run", "--memory", "0"), "the memory is not hexadecimal"),
        (("run", "--budget", "-1"), "a budget is"),
        (("run", "01"), "only with --plugin"),
        (("run", "--section", "xdp"), "--section chooses in an object"),
        (("run", "--plugin", "--memory", "00", "01"), "the memory is given twice"),
        (("run", "--plugin", "--packet", "", "01"), "the memory is given twice"),
        (("check", "/dev/zero"), "too large"),
        (("run", "--object", "/nowhere"), "cannot read"),
        (("check", "/nowhere"), "cannot read"),
        (("check", __file__), "is damaged"),
    ):
        done = ash(*arguments, program=ANSWER.hex())
        assert done.returncode == 2 and text in done.stderr, done.stderr
    done = ash("run", program="95 xx")
    assert done.returncode == 2 and "the program is not hexadecimal" in done.stderr


# ---- batch


def batch(*lines: object, arguments: tuple[str, ...] = ()) -> list[dict[str, object]]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = ash("batch", *arguments, program=text)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("how", [(), ("--interpret",)])
def test_batch(how: tuple[str, ...]) -> None:
    store = instruction(0x7A, 1, 0, 0, 7) + instruction(0xB7, 0) + EXIT
    answers = batch(
        {"id": "a", "prog": ANSWER.hex()},
        {"id": 2, "prog": store.hex(), "profile": "memory", "mem": "ff" * 9},
        {"id": 3, "prog": (store[:8] + FIRST_WORD[:8] + FOREVER).hex(), "mem": "00" * 8, "budget": 10},
        {"id": 4, "prog": (ANSWER[:8] + instruction(0x8D) + EXIT).hex(), "mem": "00"},
        "no JSON",
        {"id": 5, "prog": "9"},
        {"id": 6, "profile": "what"},
        {"id": 7, "prog": ANSWER.hex(), "color": 1},
        [1],
        {"id": 8, "prog": FIRST_WORD.hex(), "profile": "packet", "mem": "00" * 60, "budget": None},
        {"id": 9, "prog": ANSWER.hex(), "mem": "00" * (2 << 20)},
        {"id": 10, "prog": FIRST_WORD.hex(), "profile": "packet", "mem": "00" * 60},
        arguments=how,
    )
    assert answers[0] == {"id": "a", "outcome": "returned", "r0": "0x2a", "mem": ""}
    assert answers[1] == {"id": 2, "outcome": "returned", "r0": "0x0", "mem": "07" + "00" * 7 + "ff"}
    assert answers[2].items() >= {"id": 3, "outcome": "aborted", "mem": "07" + "00" * 7, "pc": 2}.items()
    assert answers[3].items() >= {"id": 4, "outcome": "refused", "pc": 1, "mem": "00"}.items()
    assert [a["outcome"] for a in answers[4:11]] == ["error"] * 7 and all(a["reason"] for a in answers[4:11])
    assert [a["id"] for a in answers[4:11]] == [None, 5, 6, 7, None, 8, 9]
    assert answers[11]["outcome"] == "returned"


def strict(line: str) -> dict[str, object]:
    """JSON as RFC 8259 has it, which knows no NaN."""

    def none(text: str) -> object:
        raise AssertionError(f"{text} is not JSON")

    found = json.loads(line, parse_constant=none)
    assert isinstance(found, dict)
    return found


def test_an_answer_to_nan_is_json() -> None:
    """NaN and 1e999 as an id came back as NaN and Infinity, which no other reader takes."""
    lines = [
        f'{{"id": {number}, "prog": "{ANSWER.hex()}"}}' for number in ("NaN", "-Infinity", "1e999", "[1e999]", "1.5")
    ]
    done = ash("batch", program="\n".join(lines))
    answers = [strict(line) for line in done.stdout.splitlines()]
    assert [a["outcome"] for a in answers] == ["error"] * 4 + ["returned"]
    assert all("NaN" in str(a["reason"]) for a in answers[:4]) and answers[4]["id"] == 1.5


def test_a_request_without_a_program_is_an_error_and_not_an_empty_program() -> None:
    answers = batch({"id": 1}, {}, {"id": 2, "mem": "00"}, {"id": 3, "prog": ""})
    assert [a["outcome"] for a in answers] == ["error", "error", "error", "refused"]
    assert "'prog'" in str(answers[0]["reason"])


def test_errors_are_in_words_of_the_request_and_not_of_python() -> None:
    program = f'"prog": "{ANSWER.hex()}"'
    lines = [
        '{"id": 1, "prog": 5}',
        '{"id": 1, "prog": "b"}',
        f'{{"id": 1, {program}, "mem": null}}',
        f'{{"id": 1, {program}, "profile": []}}',
        f'{{"id": 1, {program}, "budget": 1.0}}',
        f'{{"id": 1, {program}, "budget": {"9" * 5000}}}',
        "[" * 100_000,
        f'{{"id": {"[" * 3000}{"]" * 3000}, {program}}}',
    ]
    answers = batch(*lines)
    assert [a["outcome"] for a in answers] == ["error"] * len(lines)
    for answer in answers:
        for word in ("fromhex", "unhashable", "recursion", "sys.", "argument"):
            assert word not in str(answer["reason"])


def test_batch_survives_an_end_in_the_middle_of_a_line_and_a_reader_that_goes() -> None:
    whole = json.dumps({"id": 1, "prog": ANSWER.hex()})
    done = ash("batch", program=f"{whole}\n{whole[:30]}")
    assert done.returncode == 0 and [strict(a)["outcome"] for a in done.stdout.splitlines()] == ["returned", "error"]
    with subprocess.Popen(
        [*COMMAND, "ash", "batch"],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write(whole.encode() + b"\n")
        process.stdin.close()
        assert process.wait(60) == 128 + signal.SIGPIPE and process.stderr.read() == b""


def test_closed_streams_and_a_full_disk_are_no_bugs_of_ours() -> None:
    for command, status, words in (
        ("EXO ash batch <&-", 0, ""),
        ("EXO ash run <&-", 1, "no instruction"),
        (f"echo '{json.dumps({'prog': ANSWER.hex()})}' | EXO ash batch >&-", 0, ""),
        (f"echo {ANSWER.hex()} | EXO ash run >/dev/full", 2, "cannot write the output: No space left"),
    ):
        text = command.replace("EXO", shlex.join(COMMAND))
        done = subprocess.run(
            text,
            shell=True,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, done.stdout) == (status, "") and words in done.stderr, done.stderr
        assert "bug in exo" not in done.stderr


def test_batch_answers_in_order_and_without_waiting_for_the_end() -> None:
    with subprocess.Popen(
        [*COMMAND, "ash", "batch"], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for number in range(3):
            print(json.dumps({"id": number, "prog": ANSWER.hex()}), file=process.stdin, flush=True)
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(60) == 0


def test_thousands_of_programs() -> None:
    lines = []
    for number in range(3000):
        case = Generator(number).case()
        lines.append({"id": number, "prog": case.program.hex(), "mem": case.data.hex(), "budget": case.budget})
    answers = batch(*lines)
    assert [answer["id"] for answer in answers] == list(range(3000))
    assert {"returned", "aborted", "refused"} == {answer["outcome"] for answer in answers}


def test_a_worker_that_dies_is_replaced() -> None:
    with Pool(workers=1) as pool:
        line = json.dumps({"id": 1, "prog": ANSWER.hex()}).encode()
        assert pool.run([line])[0]["outcome"] == "returned"
        os.kill(pool._workers[0].process, signal.SIGKILL)
        answers = pool.run([line, line, line])
        assert [a["outcome"] for a in answers] == ["error", "returned", "returned"]
        assert answers[0]["id"] == 1


# ---- objects


def elf(
    sections: dict[str, bytes], symbols: list[tuple[str, str, int]], relocations: list[tuple[str, int, int, int]]
) -> bytes:
    """An object: executable sections; symbols of name, section (or "" for undefined) and value; relocations of section,
    offset, kind and symbol's number (from 1).
    """
    names = ["", *sections, *(f".rel{s}" for s in sections), ".symtab", ".strtab"]
    strings = b"\0"
    place: dict[str, int] = {"": 0}
    for name in [*names, *(s[0] for s in symbols)]:
        if name not in place:
            place[name] = len(strings)
            strings += name.encode() + b"\0"
    table = bytes(24)
    for name, section, value in symbols:
        table += struct.pack("<IBBHQQ", place[name], 0x12, 0, names.index(section), value, 0)
    contents = dict(sections)
    for section in sections:
        contents[f".rel{section}"] = b"".join(
            struct.pack("<QQ", offset, symbol << 32 | kind) for s, offset, kind, symbol in relocations if s == section
        )
    contents |= {".symtab": table, ".strtab": strings}
    body, headers = b"", bytes(64)
    count = len(sections)
    for number, name in enumerate(names[1:], 1):
        kind, flags, link, info, size = 1, 6, 0, 0, 0
        if name.startswith(".rel"):
            kind, flags, link, info, size = 9, 0, 2 * count + 1, number - count, 16
        elif name == ".symtab":
            kind, flags, link, info, size = 2, 0, 2 * count + 2, 1, 24
        elif name == ".strtab":
            kind, flags = 3, 0
        data = contents[name]
        headers += struct.pack(
            "<IIQQQQIIQQ", place[name], kind, flags, 0, 64 + len(body), len(data), link, info, 8, size
        )
        body += data + bytes(-len(data) % 8)
    start = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    numbers = (1, 247, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(names), len(names) - 1)
    return start + struct.pack("<HHIQQQIHHHHHH", *numbers) + body + headers


CALLER = instruction(0xB7, 1, immediate=5) + instruction(0x85, 0, 1, 0, -1) + EXIT
DOUBLE = instruction(0xBF, 0, 1) + instruction(0x0F, 0, 1) + EXIT
TRIPLE = instruction(0xBF, 0, 1) + instruction(0x27, 0, immediate=3) + EXIT


def test_an_object_without_relocations(tmp_path: Path) -> None:
    path = tmp_path / "handler.o"
    path.write_bytes(elf({"xdp": ANSWER}, [], []))
    done = ash("check", path)
    assert done.returncode == 0
    assert done.stdout.startswith("xdp: 2 instructions: accepted\n  worst case: 2 instructions\n")
    assert ash("run", "--object", path, "--packet", "00" * 60).stdout == "0x2a\n"


def test_calls_between_sections_are_resolved(tmp_path: Path) -> None:
    path = tmp_path / "handler.o"
    sections = {".text": DOUBLE + TRIPLE, "xdp": CALLER, "tc": CALLER, "alone": ANSWER}
    symbols = [("double", ".text", 0), ("triple", ".text", len(DOUBLE))]
    path.write_bytes(elf(sections, symbols, [("xdp", 8, 10, 2), ("tc", 8, 10, 1)]))
    assert ash("run", "--object", path).stdout == "0xf\n"
    assert ash("run", "--object", path, "--section", "tc").stdout == "0xa\n"
    assert [len(h.program) for h in linked(path.read_bytes(), "it")] == [72, 72, 16]
    assert "there are: xdp, tc, alone" in ash("run", "--object", path, "--section", "no").stderr


def test_what_an_object_may_not_need_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "handler.o"
    loads = instruction(0xB7, 0) + wide(1, 0) + EXIT
    sections = {"xdp": CALLER, "map": loads}
    symbols = [("outside", "", 0), ("table", "", 0)]
    path.write_bytes(elf(sections, symbols, [("xdp", 8, 10, 1), ("map", 8, 1, 2)]))
    done = ash("check", path)
    assert done.returncode == 1
    assert "instruction 1 (85 20" in done.stdout and "instruction 1 (18 11" in done.stdout and "map" in done.stdout
    assert "the function `outside` is not in this object" in done.stdout and "`table`" in done.stdout
    assert "`table`" in ash("run", "--object", path, "--section", "map").stderr


def test_damaged_objects_are_refused_or_read_but_never_a_traceback() -> None:
    """Every byte of a small object changed, one after the other; and cut off everywhere."""
    whole = elf({".text": DOUBLE, "xdp": CALLER}, [("double", ".text", 0)], [("xdp", 8, 10, 1)])
    read = 0
    for place in range(len(whole)):
        for damaged in (whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :], whole[:place]):
            try:
                read += bool(linked(damaged, "it"))
            except Failure:
                continue
    assert read > 0


# ---- handlers in Python

ECHO = Path(__file__).parent / "handlers/udp_echo.py"


def frame(port: int = 7, protocol: int = 17) -> bytes:
    """A UDP datagram to a port, as it arrives."""
    ip = bytes.fromhex("450000280000400040") + bytes([protocol]) + bytes(2) + bytes.fromhex("0a0000010a000002")
    udp = struct.pack(">HHHH", 40000, port, 20, 0)
    return bytes.fromhex("0200000000020200000000010800") + ip + udp + b"hello, world"


def compiled(source: Path, tmp_path: Path) -> Path:
    path = tmp_path / f"{source.stem}.o"
    done = ash("compile", source, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


def test_a_handler_in_python_answers_packets(tmp_path: Path) -> None:
    path = compiled(ECHO, tmp_path)
    done = ash("check", path)
    assert done.returncode == 0 and "xdp: " in done.stdout and "accepted" in done.stdout
    assert ash("run", "--object", path, "--packet", frame().hex()).stdout == "0x3\n"
    assert ash("run", "--object", path, "--packet", frame().hex(), "--interpret").stdout == "0x3\n"
    program = linked(path.read_bytes(), "it")[0].program.hex()
    packets = [frame(), frame(port=8), frame(protocol=6), frame()[:41], b""]
    answers = batch(*({"prog": program, "profile": "packet", "mem": packet.hex()} for packet in packets))
    assert [answer["r0"] for answer in answers] == ["0x3", "0x2", "0x2", "0x2", "0x2"]
    sent, back = frame(), bytes.fromhex(str(answers[0]["mem"]))
    assert back[:12] == sent[6:12] + sent[:6] and back[26:34] == sent[30:34] + sent[26:30]
    assert back[34:38] == sent[36:38] + sent[34:36]
    assert back[12:26] == sent[12:26] and back[38:] == sent[38:]


def test_the_documents_example(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/handlers.md").read_text()
    source = tmp_path / "echo.py"
    source.write_text(text.split("```python\n")[1].split("```")[0])
    path = compiled(source, tmp_path)
    assert ash("check", path).returncode == 0
    assert ash("run", "--object", path, "--packet", frame().hex()).stdout == "0x3\n"
    command, answer = text.split("```console\n$ echo '")[1].split("```")[0].split("' | ./exo ash batch\n")
    assert batch(command) == [json.loads(answer)]


HANDLER = """
from exokernel.exos.ash import Action, Context, packet
from exokernel.metal import Array, Span, noinline, u8, u32, u64


def handler(context: Context) -> u32:
    frame = packet(context)
    return {body}


@noinline
def total(frame: Span[u8]) -> u32:
    found: u32 = 0
    for value in frame:
        found += value
    return found


def at(frame: Span[u8], place: u64) -> u32:
    return u32(frame[place])
"""


def test_what_python_checks_ends_a_handler(tmp_path: Path) -> None:
    source = tmp_path / "it.py"
    source.write_text(HANDLER.format(body="at(frame, u64(frame[0])) + total(frame)"))
    path = compiled(source, tmp_path)
    packet = bytes([3, 0, 0, 9])
    assert ash("run", "--object", path, "--packet", packet.hex()).stdout == hex(9 + 12) + "\n"
    for packet in (bytes([4, 0, 0, 9]), b""):
        done = ash("run", "--object", path, "--packet", packet.hex())
        assert done.returncode == 1 and "aborted" in done.stderr and "not its own" in done.stderr


def test_a_handler_that_cannot_be_one(tmp_path: Path) -> None:
    source = tmp_path / "it.py"
    for text, words in (
        (HANDLER.format(body="frame"), "error: "),
        (HANDLER.format(body="total(frame, 1)"), "error: "),
        ("def other() -> None: ...", "has no function `handler`"),
        ("1 / 0", "ZeroDivisionError while"),
        ("import sys; sys.exit(3)", "SystemExit while"),
    ):
        source.write_text(text)
        done = ash("compile", source, "-o", tmp_path / "it.o")
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


LARGE = """
from exokernel.exos.ash import Action, Context, packet
from exokernel.metal import Array, asm, i32, noinline, u8, u32, u64


@noinline
def six(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32) -> u32:
    return a * b + c * d + e * f


def handler({signature}) -> {result}:
    frame = packet(context)
    {statement}
    return {value}
"""


@pytest.mark.parametrize(
    ("statement", "value", "words"),
    [
        ("large = Array[u8, 600]()\n    large[u64(frame[0])] = 3", "large[u64(frame[1])]", "512 bytes of stack"),
        ("pass", "u32(i32(frame[0]) // (i32(frame[1]) - 5))", "no signed division"),
        ("pass", "six(frame[0], frame[1], frame[2], frame[3], frame[4], frame[5])", "five arguments at most"),
        ("copy = Array[u8, 64]()\n    copy[: len(frame)].copy_from(frame)", "copy[5]", "a constant number of bytes"),
        ('asm("nop", "")', "1", "no assembly"),
    ],
)
def test_what_llvm_finds_too_much_for_a_handler_is_said_in_our_words_with_its_place(
    statement: str, value: str, words: str, tmp_path: Path
) -> None:
    source = tmp_path / "it.py"
    text = LARGE.format(signature="context: Context", result="u32", statement=statement, value=value)
    source.write_text(text)
    done = ash("compile", source, "-o", tmp_path / "it.o")
    assert done.returncode == 2 and words in done.stderr and str(source) in done.stderr, done.stderr
    assert "LLVM" not in done.stderr and "asm(...)" not in done.stderr


@pytest.mark.parametrize(
    ("signature", "result"),
    [
        ("", "u32"),
        ("context: u32", "u32"),
        ("context: Context, more: u32", "u32"),
        ("context: Context", "u64"),
    ],
)
def test_a_handler_of_another_signature_is_refused(signature: str, result: str, tmp_path: Path) -> None:
    """They were compiled, and what was not given was left undefined."""
    source = tmp_path / "it.py"
    text = LARGE.replace("frame = packet(context)", "pass")
    source.write_text(text.format(signature=signature, result=result, statement="pass", value="1"))
    done = ash("compile", source, "-o", tmp_path / "it.o")
    assert done.returncode == 2 and "takes its context and returns a u32" in done.stderr, done.stderr
    assert "it.py:11:1" in done.stderr


# ---- foreign objects

CLANG = next((found for name in ("clang", "clang-14", "clang-16") if (found := shutil.which(name))), None)


@pytest.fixture(scope="module", params=["v1", "v2", "v3"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The programs of handlers/xdp.c by section, in hexadecimal, compiled by clang."""
    if CLANG is None:
        pytest.skip("clang is not installed")
    path = tmp_path_factory.mktemp("foreign") / "xdp.o"
    source = Path(__file__).parent / "handlers/xdp.c"
    command = [CLANG, "-O2", "-g", "-target", "bpf", f"-mcpu={request.param}", "-c", str(source), "-o", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return {handler.name: handler.program.hex() for handler in linked(path.read_bytes(), "xdp.o")}


def icmp_request() -> bytes:
    """An echo request with sound checksums."""
    icmp = bytes.fromhex("0800" + "0000" + "00010001") + b"sixteen bytes..."
    ip = bytes.fromhex("4500002c000040004001" + "0000" + "0a0000010a000002")
    parts = []
    for part, place in ((ip, 10), (icmp, 2)):
        total = sum(struct.unpack(f">{len(part) // 2}H", part))
        total = (total & 0xFFFF) + (total >> 16)
        parts.append(part[:place] + struct.pack(">H", ~total & 0xFFFF) + part[place + 2 :])
    return bytes.fromhex("0200000000020200000000010800") + b"".join(parts)


def test_ordinary_xdp_programs_run_unchanged(foreign: dict[str, str]) -> None:
    request = icmp_request()
    broken = request[:24] + b"\0\0" + request[26:]
    asked = [
        ("xdp", request),
        ("xdp", broken),
        ("xdp", request[:41]),
        ("xdp", frame()),
        ("xdp/count", request),
        ("xdp/count", b""),
        ("xdp/careless", bytes(100) + b"7"),
        ("xdp/careless", bytes(100)),
        ("xdp/global", request),
    ]
    lines = [{"prog": foreign[name], "profile": "packet", "mem": data.hex()} for name, data in asked]
    answers = batch(*lines)
    assert [a.get("r0", a["outcome"]) for a in answers] == [
        "0x3", "0x1", "0x2", "0x2", hex(sum(request)), "0x0", "0x37", "aborted", "refused"
    ]  # fmt: skip
    back = bytes.fromhex(str(answers[0]["mem"]))
    assert back[:6] == request[6:12] and back[26:34] == request[30:34] + request[26:30] and back[34] == 0
    assert sum(struct.unpack(f">{len(back[34:]) // 2}H", back[34:])) % 0xFFFF == 0
    assert batch(*lines, arguments=("--interpret",)) == answers
    assert "global variable" in str(answers[8]["reason"])
