# SPDX-License-Identifier: MIT
"""The peer: its file system, its kernel, and a real boot of it."""

import gzip
import lzma
import struct
from pathlib import Path

import pytest
from tests.host.commands import Exo

from exokernel.host import debian
from exokernel.host.counting import Work
from exokernel.host.exhibit import EXHIBITS, load
from exokernel.host.initramfs import Entry, archive, uncompressed_kernel
from exokernel.host.linux import SETTINGS, Linux, compile_c, compiled, find, version
from exokernel.host.linux_servers import closure, nginx, serving
from exokernel.host.terminal import Failure

HERE = Path(__file__).parent
FILES = {"init": Entry(b"#!", executable=True), "bin/a/b": Entry(b"12345"), "empty": Entry(b"")}


def listed(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and content of each member, read by the format's definition."""
    found, place = [], 0
    while True:
        assert data[place : place + 6] == b"070701"
        fields = [int(data[place + 6 + 8 * i : place + 14 + 8 * i], 16) for i in range(13)]
        name_end = place + 110 + fields[11]
        name = data[place + 110 : name_end - 1].decode()
        start = (name_end + 3) // 4 * 4
        found.append((name, fields[1], data[start : start + fields[6]]))
        place = (start + fields[6] + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert place == len(data)
            return found[:-1]


def test_the_archive_holds_the_files_and_every_folder_before_them() -> None:
    found = listed(archive(FILES))
    names = [name for name, _, _ in found]
    assert len(names) == len(set(names))
    for name in names:
        assert all(str(parent) in names[: names.index(name)] for parent in list(Path(name).parents)[:-1])
    modes = {name: mode for name, mode, _ in found}
    assert modes["init"] == 0o100755
    assert modes["bin/a/b"] == 0o100644
    assert modes["bin/a"] == 0o040755
    assert modes["dev/console"] == 0o020600
    assert {name: data for name, mode, data in found if mode >> 12 == 8} == {n: e.data for n, e in FILES.items()}


def test_the_archive_depends_on_nothing_but_the_files() -> None:
    assert archive(FILES) == archive(dict(reversed(FILES.items())))


ELF = b"\x7fELF" + b"exo" * 300
LONG = b"\x7fELF" + b"a" * 1000


def literals(data: bytes) -> bytes:
    """An LZ4 sequence of literals alone."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    return b"\xf0" + b"\xff" * ((len(data) - 15) // 255) + bytes([(len(data) - 15) % 255]) + data


def boot_image(packed: bytes) -> bytes:
    """A bzImage with that payload: one setup sector, and the payload 16 bytes behind it."""
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(packed) + 4)
    return bytes(head) + bytes(16) + packed + bytes(4) + bytes(100)


def lz4(*blocks: bytes) -> bytes:
    return b"\x02\x21\x4c\x18" + b"".join(len(block).to_bytes(4, "little") + block for block in blocks)


REPEATED = bytes([0x5F]) + LONG[:5] + b"\x01\x00" + bytes([255, 255, 255, 1000 - 1 - 5 - 19 - 3 * 255])


@pytest.mark.parametrize(
    ("packed", "kernel"),
    [
        (gzip.compress(ELF), ELF),
        (lzma.compress(ELF), ELF),
        (lz4(literals(ELF)), ELF),
        (lz4(literals(ELF[:10]), literals(ELF[10:])), ELF),
        (lz4(REPEATED + literals(b"aaaaa")), LONG),
    ],
    ids=["gzip", "xz", "lz4", "lz4 in two blocks", "lz4 that repeats itself"],
)
def test_a_kernel_is_unpacked(packed: bytes, kernel: bytes) -> None:
    assert uncompressed_kernel(boot_image(packed)) == kernel
    assert uncompressed_kernel(kernel) == kernel


@pytest.mark.parametrize("image", [b"", bytes(2000), boot_image(b"what is this"), boot_image(gzip.compress(b"no ELF"))])
def test_what_is_no_kernel_is_refused(image: bytes) -> None:
    with pytest.raises(Failure):
        uncompressed_kernel(image)


def test_a_package_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(Failure, match="no-such-package"):
        debian.unpacked("no-such-package")


def test_a_program_that_does_not_compile_shows_why(tmp_path: Path) -> None:
    source = tmp_path / "linux.c"
    source.write_text("int main(void) { return nowhere; }")
    with pytest.raises(Failure, match="nowhere"):
        compile_c(source)


def test_a_kernel_that_does_not_exist_is_a_mistake(exo: Exo) -> None:
    run = exo("bench", "stride", "--linux-kernel", "nothing-here")
    assert run.returncode == 2
    assert "nothing-here does not exist" in run.stderr


@pytest.fixture(scope="module")
def linux() -> Linux:
    try:
        return Linux(*find(), {"null_call": HERE / "null_call.c"})
    except Failure as failure:
        pytest.skip(f"no Linux here: {failure.message}")


def test_the_kernel_says_its_version(linux: Linux) -> None:
    assert version(linux.image) in linux.image.name


def test_linux_boots_and_counts_the_same_again(linux: Linux) -> None:
    files = compiled(linux.programs)
    counting = Linux(linux.image, linux.modules, linux.programs, counts=True)
    first, second = (machine.boot(files, SETTINGS[""])["null_call"] for machine in (linux, counting))
    assert first == [line._replace(regions=[]) for line in second], "who counts kernel entries changes no count"
    call, process = second
    entries = [region.kernel_entries for region in call.regions]
    assert len(entries) == 101 and sorted(entries)[50] == 1
    assert call.row == "null-call"
    assert len(call.values) == 101
    assert 100 < min(call.values) < 1000
    assert process.values[0] > 1


@pytest.mark.parametrize("means", ["sockets", "native"])
def test_linux_counts_messages(linux: Linux, means: str) -> None:
    latency, peer = (load(name, EXHIBITS / "ash" / f"{name}.py") for name in ("latency", "peer"))
    assert len(peer.latency(linux, means, 2, 5, latency.measure)) == 5  # which are all right, or it is an error


def test_nginx_answers_on_linux_and_its_work_is_seen(linux: Linux) -> None:
    http = load("http", EXHIBITS / "http/exhibit.py")
    try:
        service = nginx(bytes(http.PAGE))
        closure(service.package, service.program)
    except Failure as failure:
        pytest.skip(f"no nginx here: {failure.message}")
    with serving(linux, service) as server:
        work = Work(server.work)
        assert work.of(lambda: http.drive(server.port, "keep-alive", 64)) > 64 * 10_000


def test_a_program_that_fails_on_linux_is_an_error(linux: Linux, tmp_path: Path) -> None:
    source = tmp_path / "linux.c"
    source.write_text('#include "measure.h"\nint main(void) { start_measuring(); fail("on purpose"); }\n')
    failing = Linux(linux.image, linux.modules, {"failing": source})
    with pytest.raises(ValueError, match="on purpose"):
        failing.boot(compiled(failing.programs), SETTINGS[""])
