# SPDX-License-Identifier: MIT
"""Handlers on the workstation: inspected and translated by the kernel's own code, compiled for this machine, and run in
a window of 4 GiB as they are in the kernel.

An access that faults inside a handler's code ends that handler: a signal handler does what the kernel's page-fault
handler does. A fault anywhere else ends the process, so handlers run in a process of their own (`ash_worker`). Nothing
here may decide differently from the kernel.
"""

import bisect
import ctypes
import hashlib
import itertools
import json
import mmap
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exokernel.aegis.ebpf import DEPTH, FRAME_BYTES, LIMIT, TEXTS, Reason
from exokernel.aegis.inspection import ContextField, Profile, Verdict
from exokernel.aegis.translation import CONTEXT, DATA_END, EFFECTS, FRAMES, NOBODY, RECORD, STATE, Record, Translation
from exokernel.host import ash_entry
from exokernel.host.ash_entry import Workspace
from exokernel.host.ash_interpreter import Effects, Interpreter, Memory, OverBudget, WildAccess
from exokernel.host.build import cache_folder, cannot_write, digest_of, llvm_version_file
from exokernel.metal import native, offsetof, sizeof

WINDOW = 1 << 32
GUARD = 1 << 16
DATA_LIMIT = 0x100000
FRAME_PAGE = DEPTH * FRAME_BYTES
FRAME_TOP = FRAMES + FRAME_PAGE
STATE_BYTES = mmap.PAGESIZE
CODE_ROOM = 1 << 20
DEFAULT_BUDGET = 1_000_000
BUDGET_LIMIT = (1 << 31) - 1

# What the kernel's page-fault handler will do: from a fault in the handler's code go on at its `abort`.
FAULTS = """
.globl ash_fault
ash_fault:
    movq 168(%rdx), %rax
    cmpq ash_begin(%rip), %rax
    jb 1f
    cmpq ash_end(%rip), %rax
    jae 1f
    movq %rax, ash_place(%rip)
    movq ash_abort(%rip), %rcx
    movq %rcx, 168(%rdx)
    movabsq $-1, %rcx
    movq %rcx, 144(%rdx)
    ret
1:  ud2
.globl ash_enter
ash_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rdi, %rax
    movq %rsi, %r12
    movq %rdx, %rdi
    movq %rcx, %rsi
    movq %r9, %rbp
    movq %r8, %r9
    callq *%rax
    movq %rax, RESULT(%r12)
    movq %rdx, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
.data
.balign 8
.globl ash_begin, ash_end, ash_abort, ash_place
ash_begin: .quad 0
ash_end: .quad 0
ash_abort: .quad 0
ash_place: .quad 0
.text
""".replace(
    "RESULT", str(int(offsetof(Record, "result")) - RECORD)
)  # 168 and 144 are the places of rip and rax in Linux's ucontext_t
FAULTED = (1 << 64) - 1
EFFECT_BYTES = 2048

WINDOWS = 0x3000_0000_0000
windows = itertools.count()

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
MAP_NORESERVE = 0x4000
PROT_NONE = 0
SA_SIGINFO, SA_NODEFER = 4, 0x40000000


class SignalAction(ctypes.Structure):
    """struct sigaction of the C library on x86-64."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


@dataclass(frozen=True)
class Inspected:
    """What inspection says: why not (NONE: accepted), the instruction's number, the longest path, whether it loops."""

    reason: Reason
    place: int
    cost: int
    loops: bool

    @property
    def text(self) -> str:
        return TEXTS[self.reason]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `returned` with r0, `aborted` or `refused` for a reason at an instruction; the data and the state
    after it; what it asked for, if it returned.
    """

    outcome: str
    result: int = 0
    reason: Reason = Reason.NONE
    place: int = 0
    data: bytes = b""
    state: bytes = bytes(STATE_BYTES)
    effects: Effects = field(default_factory=Effects)

    @property
    def text(self) -> str:
        return TEXTS[self.reason]


def compiled() -> native.NativeModule:
    """The kernel's inspector and translator for this machine; from the cache if all they are made of is unchanged."""
    package = Path(__file__).resolve().parents[1]
    files = [package / f"aegis/{name}.py" for name in ("abi", "ebpf", "inspection", "translation", "helpers")]
    files += [Path(ash_entry.__file__), Path(__file__), *sorted((package / "metal").glob("*.py"))]
    version = llvm_version_file()
    key = hashlib.sha256("".join(digest_of(path) for path in [*files, *([version] if version else [])]).encode())
    place = cache_folder() / f"handlers-{key.hexdigest()[:32]}"
    try:
        digest, traps, code = place.read_bytes().split(b"\n", 2)
        if digest.decode() == hashlib.sha256(traps + code).hexdigest():
            return native.NativeModule([tuple(trap) for trap in json.loads(traps)], [], code)
    except (OSError, ValueError):
        pass
    load: Any = ash_entry.load
    found, _, code = native.compile_object([load], FAULTS)
    traps = json.dumps(found).encode()
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(hashlib.sha256(traps + code).hexdigest().encode() + b"\n" + traps + b"\n" + code)
        fresh.replace(place)
    except OSError as error:
        raise cannot_write(place.parent, error) from None
    return native.NativeModule(found, [], code)


class HandlerMachine:
    """One window with its arena. Make it in the process that runs handlers: it takes the signal SIGSEGV."""

    def __init__(self) -> None:
        self._native = compiled()
        self._enter_load = self._native.address("call.0")
        self._workspace = ctypes.create_string_buffer(sizeof(Workspace) + 64)
        self._work = (ctypes.addressof(self._workspace) + 63) & ~63
        self._program = (ctypes.c_uint64 * LIMIT)()
        # Far from everything else: code that is compiled for this process later must find places close together.
        size, flags = RECORD + WINDOW + GUARD, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        start = self._map(size, PROT_NONE, flags, -1, WINDOWS + next(windows) * 2 * WINDOW)
        self.window = start + RECORD
        regions = [(-RECORD, RECORD), (DATA_END - DATA_LIMIT, DATA_LIMIT), (FRAMES, FRAME_PAGE), (STATE, STATE_BYTES)]
        for place, size in regions:
            self._protect(place, size, mmap.PROT_READ | mmap.PROT_WRITE)
        self._effects = (ctypes.c_ubyte * (2 * EFFECTS * EFFECT_BYTES))()
        self._protect(CONTEXT, mmap.PAGESIZE, mmap.PROT_READ)
        # The code is written through one mapping and executed through another.
        file = os.memfd_create("handler")
        os.ftruncate(file, CODE_ROOM)
        self._code = self._map(CODE_ROOM, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file)
        self._executable = self._map(CODE_ROOM, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_SHARED, file)
        os.close(file)
        self._places = (ctypes.c_uint32 * (LIMIT + 1)).from_address(self._at(Workspace, "translation", "places"))
        self._verdict = (ctypes.c_uint32 * 4).from_address(self._at(Workspace, "verdict"))
        self._fault = {
            name: ctypes.c_uint64.from_address(self._native.address(f"ash_{name}"))
            for name in ("begin", "end", "abort", "place")
        }
        action = SignalAction(handler=self._native.address("ash_fault"), flags=SA_SIGINFO | SA_NODEFER)
        for number in (signal.SIGSEGV, signal.SIGBUS):
            if LIBC.sigaction(int(number), ctypes.byref(action), None) != 0:
                raise OSError(ctypes.get_errno(), "sigaction")

    def _map(self, size: int, protection: int, flags: int, file: int, hint: int = 0) -> int:
        address = LIBC.mmap(hint, size, protection, flags, file, 0)
        if address in (None, (1 << 64) - 1):
            raise OSError(ctypes.get_errno(), "mmap")
        return int(address)

    def _protect(self, place: int, size: int, protection: int) -> None:
        if LIBC.mprotect(self.window + place, size, protection) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def _at(self, kind: Any, *path: str) -> int:
        address = self._work
        for name in path:
            address += int(offsetof(kind, name))
            kind = {"translation": Translation, "verdict": Verdict}.get(name)
        return address

    def _word(self, *path: str) -> int:
        return ctypes.c_uint64.from_address(self._at(Workspace, *path)).value

    def load(self, program: bytes, profile: Profile, room: int = CODE_ROOM) -> Inspected:
        """Inspect, and translate into `room` bytes what is accepted."""
        slots = len(program) // 8
        if len(program) % 8 or not slots:
            return Inspected(Reason.EMPTY, 0, 0, False)
        if slots > LIMIT:
            return Inspected(Reason.TOO_LONG, LIMIT, 0, False)
        ctypes.memmove(self._program, program, len(program))
        arguments = (ctypes.c_uint64 * 14)()  # a slot of the caller's is 16 bytes
        record = self.window - RECORD
        arguments[::2] = [ctypes.addressof(self._program), slots, int(profile), self._work, self._code, room, record]
        self._native.call(self._enter_load, arguments, arguments)
        reason, place, cost, loops = self._verdict
        return Inspected(Reason(reason), place, cost, bool(loops))

    def inspect(self, program: bytes, profile: Profile) -> Inspected:
        """The kernel's verdict."""
        return self.load(program, profile, 0)

    def machine_code(self, program: bytes, profile: Profile) -> bytes:
        """What the kernel would execute; empty if the program is refused."""
        if self.load(program, profile).reason:
            return b""
        return ctypes.string_at(self._code, self._word("translation", "length"))

    def run(
        self,
        program: bytes,
        profile: Profile,
        data: bytes,
        budget: int = DEFAULT_BUDGET,
        interpret: bool = False,
        asked: Effects | None = None,
    ) -> Outcome:
        """Inspect, translate and execute; or interpret. `data` is the memory or the packet. `asked` says what the helpers
        find (by default: room for all, the clock at 0, environment 0 may be woken).
        """
        asked = asked or Effects()
        if len(data) > DATA_LIMIT:
            raise ValueError(f"memory and packets have at most {DATA_LIMIT} bytes")
        if not 0 <= budget <= BUDGET_LIMIT:
            raise ValueError(f"a budget is a number from 0 to {BUDGET_LIMIT}")
        inspected = self.load(program, profile, 0 if interpret else CODE_ROOM)
        if not inspected.reason and not inspected.loops and inspected.cost > budget:
            inspected = Inspected(Reason.COST, 0, inspected.cost, False)
        elif not interpret and not inspected.reason and self._word("translation", "length") == 0:
            inspected = Inspected(Reason.NO_ROOM, 0, inspected.cost, False)
        if inspected.reason:
            return Outcome("refused", reason=inspected.reason, place=inspected.place, data=data)
        lowest = DATA_END - len(data)
        context = bytearray(ContextField.BYTES)
        if profile == Profile.PACKET:
            for place, value in ((ContextField.DATA, lowest), (ContextField.DATA_END, DATA_END)):
                context[place : place + 4] = value.to_bytes(4, "little")
            context[ContextField.DATA_META : ContextField.DATA_META + 4] = lowest.to_bytes(4, "little")
        r1, r2 = (CONTEXT, 0) if profile == Profile.PACKET else (lowest, len(data))
        if interpret:
            return self._interpret(program, data, bytes(context), (r1, r2), budget, inspected.loops, asked)
        return self._execute(program, data, bytes(context), (r1, r2), budget, asked)

    def _interpret(
        self,
        program: bytes,
        data: bytes,
        context: bytes,
        arguments: tuple[int, int],
        budget: int,
        loops: bool,
        asked: Effects,
    ) -> Outcome:
        after, state = bytearray(data), bytearray(STATE_BYTES)
        page = bytearray(context.ljust(mmap.PAGESIZE, b"\0"))
        regions = [(DATA_END - len(data), after, True), (FRAMES, bytearray(FRAME_PAGE), True), (STATE, state, True)]
        words = [int.from_bytes(program[i : i + 8], "little") for i in range(0, len(program), 8)]
        memory = Memory([*regions, (CONTEXT, page, False)])
        interpreter = Interpreter(words, memory, loops, replace(asked), STATE)
        reason, result = Reason.NONE, 0
        try:
            result = interpreter.run(*arguments, FRAME_TOP, budget)
        except WildAccess:
            reason = Reason.WILD_ACCESS
        except OverBudget:
            reason = Reason.OVER_BUDGET
        if reason:
            return Outcome("aborted", 0, reason, interpreter.pc, bytes(after), bytes(state))
        return Outcome("returned", result, data=bytes(after), state=bytes(state), effects=interpreter.effects)

    def _set(self, name: str, *values: int) -> None:
        """A field of the record, or the first elements of one."""
        place = self.window - RECORD + int(offsetof(Record, name))
        (ctypes.c_uint64 * len(values)).from_address(place)[:] = list(values)

    def _get(self, name: str, index: int = 0, size: int = 8) -> int:
        place = self.window - RECORD + int(offsetof(Record, name)) + index * size
        return int.from_bytes(ctypes.string_at(place, size), "little")

    def _execute(
        self, program: bytes, data: bytes, context: bytes, arguments: tuple[int, int], budget: int, asked: Effects
    ) -> Outcome:
        lowest = DATA_END - len(data)
        ctypes.memmove(self.window + lowest, data, len(data))
        ctypes.memset(self.window + FRAMES, 0, FRAME_PAGE)
        ctypes.memset(self.window + STATE, 0, STATE_BYTES)
        if arguments[0] == CONTEXT:
            self._protect(CONTEXT, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)
            ctypes.memmove(self.window + CONTEXT, context, len(context))
            self._protect(CONTEXT, mmap.PAGESIZE, mmap.PROT_READ)
        places = [ctypes.addressof(self._effects) + i * EFFECT_BYTES for i in range(2 * EFFECTS)]
        self._set("lowest", lowest, DATA_END, FRAMES, STATE, STATE_BYTES, 0, asked.clock)
        self._set("copy_room", asked.room, 0, *places[:EFFECTS])
        self._set("send_room", asked.room, 0, *places[EFFECTS:])
        self._set("may_wake", asked.may_wake, 0, NOBODY)
        status = self.enter(*arguments, budget)
        after, state = ctypes.string_at(self.window + lowest, len(data)), self.state()
        if status == FAULTED:
            at = self._fault["place"].value - self._executable
            slots = self._places[: len(program) // 8]
            return Outcome("aborted", 0, Reason.WILD_ACCESS, bisect.bisect_right(slots, at) - 1, after, state)
        if status:
            return Outcome("aborted", 0, Reason(status >> 32), status & 0xFFFFFFFF, after, state)
        effects = replace(
            asked,
            copies=tuple(
                (self._get("tags", i, 4), ctypes.string_at(places[i], self._get("copied", i, 4)))
                for i in range(self._get("copies"))
            ),
            frames=tuple(
                ctypes.string_at(places[EFFECTS + i], self._get("sent", i, 4)) for i in range(self._get("sends"))
            ),
            woken=self._get("woken"),
            next=self._get("next"),
        )
        return Outcome("returned", self._get("result"), data=after, state=state, effects=effects)

    def state(self) -> bytes:
        """The handler's state, as the last run left it."""
        return ctypes.string_at(self.window + STATE, STATE_BYTES)

    @property
    def code(self) -> range:
        """Addresses of the machine code that was loaded last."""
        return range(self._executable, self._executable + self._word("translation", "length"))

    def enter(self, r1: int, r2: int, budget: int) -> int:
        """Execute what was loaded last on the memory as it is: 0 when it returned, else how it was ended."""
        self._fault["begin"].value, self._fault["end"].value = self.code.start, self.code.stop
        self._fault["abort"].value = self._executable + self._word("translation", "abort")
        enter = ENTRY(self._native.address("ash_enter"))
        place = self._executable + self._word("translation", "enter")
        return int(enter(place, self.window, r1, r2, budget, FRAME_TOP))


ENTRY = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 6)
