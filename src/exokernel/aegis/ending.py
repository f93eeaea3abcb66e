# SPDX-License-Identifier: MIT
"""How environments and the machine end, and what the host is told about it: one line on the control channel each, in
the format of docs/decisions/0001-first-light.md. An environment's end never harms another; the end of environment 0 is
the end of the machine.
"""

from exokernel.aegis import bindings, environment, floating, frames, information, lines, loading, processor, receiving
from exokernel.aegis.abi import *
from exokernel.aegis.environment import ORPHAN
from exokernel.machine import cpu, serial
from exokernel.metal import count_trailing_zeros, i64, noreturn, u32, u64

UNHANDLED = 128  # plus the vector: the status of an environment that ends by an exception
GIVE_BACK_STEPS = 64
HANDLER_STEPS = 16  # that one handler is worth

unfinished: u64 = 0  # bit n: environment n has ended and still has frames or bindings


def name_of(identifier: u64) -> bytes:
    """The kernel's copy of an environment's name, up to what would not be part of a name in a report."""
    name = information.page.environments[identifier].name
    length: u64 = 0
    while length < NAME_BYTES and name[length] >= 0x20 and name[length] != 0x3D:
        length += 1
    return name[:length]


def report_registers(registers: Registers) -> None:
    """The end of a line."""
    print(f" rax={registers.rax:#x} rbx={registers.rbx:#x} rcx={registers.rcx:#x} rdx={registers.rdx:#x}", end="")
    print(f" rsi={registers.rsi:#x} rdi={registers.rdi:#x} rbp={registers.rbp:#x} r8={registers.r8:#x}", end="")
    print(f" r9={registers.r9:#x} r10={registers.r10:#x} r11={registers.r11:#x} r12={registers.r12:#x}", end="")
    print(f" r13={registers.r13:#x} r14={registers.r14:#x} r15={registers.r15:#x}")


def report_exception(identifier: u64, frame: ExceptionFrame, address: u64, registers: Registers) -> None:
    """`ended ... reason=exception`."""
    cause = frame.cause
    print("ended", f"environment={identifier:#x} name=", end="")
    print(name_of(identifier), end="")
    print(f" reason=exception vector={cause.vector:#x} error={cause.error:#x} address={address:#x}", end="")
    print(f" ip={frame.ip:#x} sp={frame.sp:#x} flags={frame.flags:#x}", end="")
    report_registers(registers)


def end(identifier: u64, status: u64) -> i64:
    """Ends the current environment. Returns the root to load."""
    if floating.reachable:
        floating.leave()
    cpu.load_root(environment.records[environment.IDLE].root)
    if identifier == 0:
        end_machine(status)
    finish(identifier, status)
    return processor.next_slice()


def finish(identifier: u64, status: u64) -> None:
    """Takes everything from an environment, whose address space is not the current one, and tells who created it. Its
    frames follow in batches.
    """
    global unfinished
    page = information.page.environments[identifier]
    page.state = State.ENDED
    information.page.events.ended += 1
    page.status = u32(status)
    processor.remove(identifier)
    floating.release(identifier)
    lines.release(identifier)
    loading.stop(identifier)
    receiving.stop_capture(identifier)
    creator = environment.records[identifier].creator
    if creator < ENVIRONMENTS:
        environment.records[creator].page[0].pending |= Event.CHILD_ENDED
        processor.wake(creator)
    for record in environment.records:
        if record.creator == identifier:
            record.creator = creator if creator < ENVIRONMENTS else ORPHAN
    unfinished |= u64(1) << identifier
    processor.earliest = 0  # the next tick looks at it
    give_back()


def give_back() -> None:
    """Of those that ended, ends some filters, handlers, bindings and frees some frames; who has none left can be made anew."""
    global unfinished
    steps: u64 = 0
    while unfinished != 0 and steps < GIVE_BACK_STEPS:
        identifier = count_trailing_zeros(unfinished)
        record = environment.records[identifier]
        if receiving.receives(identifier):
            steps += receiving.release(identifier, GIVE_BACK_STEPS - steps)
            continue
        if loading.held[identifier] != 0:
            loading.release_next(identifier)
            steps += HANDLER_STEPS
            continue
        if record.bound != 0:
            steps += bindings.end_next(record, GIVE_BACK_STEPS - steps)
            continue
        steps += 1
        frame = frames.oldest(identifier)
        if frame == 0:
            information.page.environments[identifier].state = State.FREE
            unfinished &= ~(u64(1) << identifier)
        elif frames.entry(frame).bindings != 0:
            bindings.pass_on(frame)
        elif frames.entry(frame).pins != 0:  # `sending` frees it
            frames.move(frame, FRAME_KERNEL, FrameKind.NONE)
        else:
            frames.move(frame, FRAME_FREE, FrameKind.NONE)


def exit(status: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `exit`. Returns the root to load."""
    identifier = environment.current().identifier
    if environment.records[identifier].creator >= ENVIRONMENTS:  # else its creator knows, and may create thousands
        print("ended", f"environment={identifier:#x} name=", end="")
        print(name_of(identifier), end="")
        print(f" reason=exit status={status:#x}")
    return end(identifier, status)


def shutdown(status: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `shutdown`."""
    if environment.current().identifier != 0:
        return Error.NOT_PERMITTED
    end_machine(status)


@noreturn
def end_machine(status: u64) -> None:
    print(f"exit status={status:#x}")
    serial.leave(0)


@noreturn
def panic(text: bytes) -> None:
    """The kernel cannot go on."""
    print("panic", "reason=", end="")
    print(text)
    serial.leave(1)
