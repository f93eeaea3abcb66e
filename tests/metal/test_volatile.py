# SPDX-License-Identifier: MIT
"""A volatile struct's fields are volatile all the way down: arrays and structs embedded in it, and their elements."""

from __future__ import annotations

import re

from exokernel.metal import Array, native, struct, u32
from exokernel.metal.program import NATIVE, Program
from exokernel.metal.runtime import keep_output


@struct
class Inner:
    value: u32


@struct(volatile=True)
class Device:
    status: u32
    registers: Array[u32, 4]
    inner: Inner


def touch(device: Device) -> u32:
    device.status = 1
    device.registers[1] = 2
    device.registers[2] += 3
    device.inner.value = 4
    total: u32 = 0
    for register in device.registers:
        total += register
    return total


def touch_by_other_names(device: Device) -> None:
    registers = device.registers
    registers[1] = 2
    part = registers[2:]
    part[0] = 3
    inner = device.inner
    inner.value = 4


def test_other_names_are_volatile_too() -> None:
    text = Program(NATIVE, keep_output).compile([touch_by_other_names])
    stores = [line for line in re.findall(r"store (.*), ptr %t", text) if " i32 " in f" {line}"]
    assert len(stores) == 3 and all(line.startswith("volatile") for line in stores), stores


def test_embedded_arrays_and_structs_are_volatile() -> None:
    program = Program(NATIVE, keep_output)
    text = program.compile([touch])
    stores = [line for line in re.findall(r"store (.*), ptr %t", text) if " i32 " in f" {line}"]
    assert len(stores) == 4 and all(line.startswith("volatile") for line in stores), stores
    assert re.search(r"load volatile i32, ptr %t\d+, align 4", text)
    assert native.compile_functions([touch]).touch(Device()) == 5
