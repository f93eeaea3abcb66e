# SPDX-License-Identifier: MIT
"""How environments and the machine end, and what the host is told about it: one line on the control channel each, in
the format of docs/decisions/0001-first-light.md. An environment's end never harms another; the end of environment 0 is
the end of the machine.
"""

from exokernel.aegis import bindings, environment, floating, information, lines, network, processor
from exokernel.aegis.abi import NAME_BYTES, Error, ExceptionFrame, Registers
from exokernel.machine import cpu, serial
from exokernel.metal import i64, noreturn, u64

UNHANDLED = 128  # plus the vector: the status of an environment that ends by an exception


def name_of(identifier: u64) -> bytes:
    """The kernel's copy of an environment's name."""
    name = information.page.environments[identifier].name
    length: u64 = 0
    while length < NAME_BYTES and name[length] != 0:
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
    """Takes everything from an environment, the current one, which was reported. Returns the root to load."""
    cpu.load_root(environment.records[environment.IDLE].root)
    if identifier == 0:
        end_machine(status)
    processor.remove(identifier)
    floating.release(identifier)
    lines.release(identifier)
    network.unbind(identifier)
    bindings.end_all(identifier)
    environment.destroy(identifier)
    return processor.next_slice()


def exit(status: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `exit`. Returns the root to load."""
    identifier = environment.current().identifier
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
