# SPDX-License-Identifier: MIT
"""Ten of the kernel's and the library's hottest functions, each beside its twin of paths.c: an application for
`exhibit.py`. They are the product's own, imported; what is here calls them with the same inputs as C calls its own.

The C is compiled while this module is imported, by every compiler that is there, and its assembly becomes a part of the
same image, each compiler's names with a prefix. Every line printed is `path system instructions result`, the first two as
numbers; the time-stamp counter counts instructions when QEMU runs with -icount shift=0.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from exokernel.aegis import abi, capability, environment, filter, frames, information, processor
from exokernel.aegis.abi import Atom, EnvironmentPage, FrameEntry, FrameKind
from exokernel.aegis.environment import NOBODY, KernelPage
from exokernel.exos import blocks, pipe, schedule
from exokernel.exos.net import http, packets, resp
from exokernel.exos.net.packets import ip, tcp
from exokernel.exos.net.tcp import segment
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import (
    Array,
    Ptr,
    Span,
    addr,
    aligned,
    asm,
    module_asm,
    noinline,
    struct,
    u8,
    u16,
    u32,
    u64,
)

ROUNDS = 64


@struct
class Given:
    """Where the inputs are; the same in paths.c."""

    frame_table: u64
    system_page: u64
    filters: u64
    packet: u64
    records: u64
    octets: u64
    sums: u64
    text: u64
    secret: u64
    request: u64
    words: u64
    command: u64
    writer: u64
    reader: u64
    taken: u64
    books: u64
    held: u64
    clients: u64
    ready: u64


given: Given = Given()

# ---- the kernel: frames change their owners

FRAMES = 256
frame_table: Array[FrameEntry, FRAMES + 65] = Array[FrameEntry, FRAMES + 65]()


def prepare_frames() -> None:
    frames.table = Ptr[FrameEntry](u64(addr(frame_table)))
    frames.count = FRAMES
    for i in range(FRAMES + 65):
        entry = frame_table[i]
        entry.next = u32(i)
        entry.previous = u32(i)
        entry.owner = abi.FRAME_KERNEL
        entry.generation = 0
    information.page.frames_free = 0
    for i in range(abi.ENVIRONMENTS):
        information.page.environments[i].frames = 0
    frames.free_range(1, FRAMES)


@noinline
def move_frames(given: Given) -> u64:
    """Claims for three owners in turn, without clearing, until half is taken; then all are released."""
    total: u64 = 0
    for i in range(FRAMES // 2):
        frame = frames.oldest(abi.FRAME_FREE)
        frames.move(frame, i % 3, FrameKind.SPARE)
        total = total * 3 + frame
    for owner in range(3):
        while True:
            frame = frames.oldest(owner)
            if frame == 0:
                break
            frames.move(frame, abi.FRAME_FREE, FrameKind.NONE)
            total = total * 3 + frames.entry(frame).generation
    return total + information.page.frames_free + information.page.environments[1].frames


# ---- the kernel: whose filter a frame matches

FLOW = (ip.source == 1) & (ip.destination == "10.0.0.2") & (tcp.source == 2) & (tcp.destination == 80)
COUNT = len(packets.listed(FLOW))
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(FLOW)
SOURCE = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 26 and a.kind == 0)
PORT = next(i for i, a in enumerate(packets.listed(FLOW)) if a.offset == 14 and a.width == 16)
HEADER: Final[Array[u8, 38]] = Array[u8, 38](
    bytes.fromhex("525400123456525400654321 0800 4500002800000000400600000a0000010a000002 0400 0050")
)
FLOWS = 100

table: filter.Table = filter.Table()
packet: Array[u8, 60] = Array[u8, 60]()


def prepare_filters() -> None:
    for number in range(FLOWS):
        atoms = Array[Atom, packets.ATOMS]()
        for i in range(packets.ATOMS):
            atoms[i].copy_from(ATOMS[i])
        atoms[SOURCE].value = u32((number + 1) * 6364136223846793005 >> 29)
        atoms[PORT].value = u32(1024 + number * 7)
        filter.insert(table, atoms[:COUNT], u32(number), u32(number))
    packet[:38].copy_from(HEADER)


@noinline
def classify(given: Given) -> u64:
    """Frames of all flows, one after the other, and some of none."""
    total: u64 = 0
    for number in range(FLOWS + 10):
        source = u32((number + 1) * 6364136223846793005 >> 29)
        port = u16(1024 + number * 7)
        for i in range(4):
            packet[26 + i] = u8(source >> (24 - 8 * i))
        packet[34] = u8(port >> 8)
        packet[35] = u8(port)
        total = total * 3 + u64(filter.classify(table, packet))
    return total


# ---- the kernel: a capability's proof

secret: Array[u64, 2] = Array[u64, 2]()


@noinline
def prove(given: Given) -> u64:
    total: u64 = 0
    for i in range(ROUNDS):
        total = total * 3 + capability.mac_of(secret[0], secret[1], i << 8, total & 0xFF)
    return total


# ---- the kernel: who runs next

RUNNERS = 5
environment_pages: Array[EnvironmentPage, RUNNERS] = aligned(4096, Array[EnvironmentPage, RUNNERS]())
kernel_pages: Array[KernelPage, RUNNERS] = aligned(4096, Array[KernelPage, RUNNERS]())


def prepare_slices() -> None:
    processor.position = abi.SLICES - 1
    processor.ready = 0
    processor.borrower = NOBODY
    for i in range(RUNNERS):
        record = environment.records[i]
        record.page = addr(environment_pages[i])
        record.kernel_page = addr(kernel_pages[i])
        record.root = 1000 + i
        kernel_pages[i].caller = NOBODY
        kernel_pages[i].callee = NOBODY
    for i in range(abi.SLICES):
        owner = i * 7 % RUNNERS
        information.page.slice_owners[i] = u8(owner)
        processor.ready |= u64(i % 9 != 0 and owner != 2) << i
    information.page.excess[1] = 9


@noinline
def pick(given: Given) -> u64:
    total: u64 = 0
    for _ in range(ROUNDS * 2):
        total = total * 3 + u64(processor.next_slice())
    return total


# ---- the library: a TCP segment is checked

octets: Array[u8, 1460] = Array[u8, 1460]()


def prepare_octets() -> None:
    seed: u64 = 88172645463325252
    for i in range(len(octets)):
        seed ^= seed << 13
        seed ^= seed >> 7
        seed ^= seed << 17
        octets[i] = u8(seed)
    octets[12] = 0x50
    for i in range(0, 32):
        length = 40 + i * 44
        view_checksum(octets[:length])
        sums[i] = u16(octets[16]) << 8 | octets[17]


sums: Array[u16, 32] = Array[u16, 32]()


def view_checksum(data: Span[u8]) -> None:
    """Makes the checksum of a segment right."""
    data[16] = 0
    data[17] = 0
    pseudo = segment.ipv4.pseudo_header(0x0A000001, 0x0A000002, segment.ipv4.TCP, len(data))
    found = segment.checksum.finish(segment.checksum.add(pseudo, data))
    data[16] = u8(found >> 8)
    data[17] = u8(found)


@noinline
def check(given: Given) -> u64:
    """Segments of 40 to 1,404 bytes, one of which is wrong."""
    total: u64 = 0
    for i in range(32):
        octets[16] = u8(sums[i] >> 8)
        octets[17] = u8(sums[i])
        octets[36] ^= u8(i == 20)
        total = total * 3 + segment.check(octets[: 40 + i * 44], 0x0A000001, 0x0A000002)
        octets[36] ^= u8(i == 20)
    return total


# ---- the library: requests are parsed

REQUEST = (
    b"GET /numbers?from=1 HTTP/1.1\r\nHost: 10.0.2.15\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n"
    b"Content-Length: 0\r\n\r\n"
)
request: http.Request = http.Request()
text: Array[u8, len(REQUEST)] = Array[u8, len(REQUEST)](REQUEST)


@noinline
def parse(given: Given) -> u64:
    """A browser's request, whole and cut at every eighth byte."""
    total: u64 = 0
    for i in range(27):
        total = total * 3 + http.parse(text[: len(text) - i * 8], request)
        total += request.target_end + request.length + u64(request.keep_alive)
    return total


COMMAND = b"*3\r\n$3\r\nSET\r\n$6\r\nkey123\r\n$60\r\n" + b"x" * 60 + b"\r\n"
command: resp.Command = resp.Command()
words: Array[u8, len(COMMAND)] = Array[u8, len(COMMAND)](COMMAND)


@noinline
def command_of(given: Given) -> u64:
    """A client's command, whole and cut at every byte."""
    total: u64 = 0
    for i in range(len(COMMAND)):
        total = total * 3 + resp.parse(words[: len(words) - i], command)
        total += command.count + command.length + command.end[2]
    return total


# ---- the library: bytes through a pipe


@struct
class Page:
    ring: pipe.Ring
    data: Array[u8, pipe.CAPACITY]


page: Page = aligned(4096, Page())
writer: pipe.End = pipe.End()
reader: pipe.End = pipe.End()
taken: Array[u8, 512] = Array[u8, 512]()


def prepare_pipe() -> None:
    page.ring.written = pipe.FIRST
    page.ring.taken = pipe.FIRST
    pipe.attach(writer, u64(addr(page)), 0, pipe.FIRST)
    pipe.attach(reader, u64(addr(page)), 0, pipe.FIRST)


@noinline
def through(given: Given) -> u64:
    """Messages of 8 to 512 bytes, in and out."""
    total: u64 = 0
    for i in range(ROUNDS):
        size = 8 + i * 8
        if pipe.write(writer, octets[:size]) != 0:
            return 0
        got = pipe.read(reader, taken[:size])
        total = total * 3 + u64(got) + taken[size - 1]
    return total


# ---- the library: the heap's books

books: blocks.Books = blocks.Books()
held: Array[u64, 32] = Array[u64, 32]()


def prepare_blocks() -> None:
    blocks.prepare(books)
    for page in books.pages:
        page.taken = 0
        page.pieces.fill(0)


@noinline
def allocate(given: Given) -> u64:
    """Blocks of many sizes, taken and given back out of order."""
    total: u64 = 0
    for i in range(8 * ROUNDS):
        place = i * 11 % 32
        if i >= 32:
            blocks.give_back(books, held[place])
        held[place] = blocks.take(books, i * 37 % 2000 + 1)
        total = total * 3 + held[place]
    return total


# ---- the library: a stride scheduler's choice

clients: schedule.Clients = schedule.Clients()


def prepare_clients() -> None:
    clients.count = 0
    clients.passed = 0
    for i in range(12):
        schedule.add(clients, i, 0, i % 4 + 1)
    schedule.set_awake(clients, 5, False)


@noinline
def choose(given: Given) -> u64:
    total: u64 = 0
    for i in range(ROUNDS):
        chosen = schedule.choose(clients)
        schedule.charge(clients.table[chosen], 1000 - i, 1000)
        total = total * 3 + chosen
    return total


# ---- all of them, and their twins


def prepare() -> None:
    """The same before every measurement."""
    prepare_frames()
    prepare_slices()
    prepare_pipe()
    prepare_blocks()
    prepare_clients()
    given.frame_table = u64(addr(frame_table))
    given.system_page = u64(addr(information.page))
    given.filters = u64(addr(table))
    given.packet = u64(addr(packet))
    given.records = u64(addr(environment.records))
    given.octets = u64(addr(octets))
    given.sums = u64(addr(sums))
    secret[0] = 0x0706050403020100
    secret[1] = 0x0F0E0D0C0B0A0908
    given.secret = u64(addr(secret))
    given.text = u64(addr(text))
    given.request = u64(addr(request))
    given.words = u64(addr(words))
    given.command = u64(addr(command))
    given.writer = u64(addr(writer))
    given.reader = u64(addr(reader))
    given.taken = u64(addr(taken))
    given.books = u64(addr(books))
    given.held = u64(addr(held))
    given.clients = u64(addr(clients))
    given.ready = processor.ready


C_FLAGS = [
    "-O2", "-std=c11", "-mgeneral-regs-only", "-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector",
    "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-Wall", "-Werror",
]  # fmt: skip
"""As the dialect's own code is compiled: no vector registers, no runtime but `memcpy`, which is the dialect's. Bounds checks
are the dialect's alone."""
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


def compiled(compiler: str) -> str:
    """The C's assembly; what is named there gets a prefix, as no other may have the same name."""
    source = str(Path(__file__).with_name("paths.c"))
    command = [compiler, *C_FLAGS, *(["-fno-addrsig"] if compiler == "clang" else [])]
    command += ["-DNAME(x)=path_##x", f"-DTEXT={len(REQUEST)}", f"-DWORD_BYTES={len(COMMAND)}", "-S", "-o", "-", source]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    names = set(re.findall(r"^([a-z_]\w*)[.\w]*:|^\t\.(?:local|comm)\t(\w+)", text, re.MULTILINE))
    own = "|".join(sorted(max(pair) for pair in names))
    return re.sub(
        rf"(?<![\w.$%])({own})\b|\.L(?=\w)", lambda m: f"{compiler}_{m[1]}" if m[1] else f".L{compiler}_", text
    )


for _compiler in COMPILERS:
    module_asm(compiled(_compiler))

FUNCTIONS = (move_frames, classify, prove, pick, check, parse, command_of, through, allocate, choose)
OURS: Final[Array[Callable[[Given], u64], 10]] = Array[Callable[[Given], u64], 10](list(FUNCTIONS))

module_asm(
    ".data\n.balign 8\n.globl twins\ntwins:\n"
    + "".join(f".quad {c}_path_{f.__name__}\n" for c in COMPILERS for f in FUNCTIONS)
    + ".text\n"
)


def twin(compiler: u64, path: u64) -> u64:
    """The address of a path in C."""
    return Ptr[u64](asm("mov rax, offset twins", "={rax}", returns=u64))[compiler * len(OURS) + path]


def call(function: u64, given: Given) -> u64:
    """A function in C."""
    return asm(
        "call rax",
        "={rax},{rax},{rdi},~{rcx},~{rdx},~{rsi},~{r8},~{r9},~{r10},~{r11},~{flags},~{memory}",
        function,
        addr(given),
        returns=u64,
    )


def main() -> None:
    prepare_filters()
    prepare_octets()
    for path in range(u64(len(OURS))):
        prepare()
        function = OURS[path]
        started = read_timestamp()
        result = function(given)
        ended = read_timestamp()
        print(path, 0, ended - started, result)
        for compiler in range(u64(len(COMPILERS))):
            prepare()
            address = twin(compiler, path)
            started = read_timestamp()
            result = call(address, given)
            ended = read_timestamp()
            print(path, 1 + compiler, ended - started, result)
