# SPDX-License-Identifier: MIT
"""What stands in braces in assembly: numbers, symbols, and texts of several lines under one name."""

from exokernel.metal import asm, naked, native, u64

ADD_BOTH = "mov rax, rdi\nadd rax, rsi"
ADD_ALL = "{ADD_BOTH}\nadd rax, {STEP}"  # texts may stand in texts
STEP = 3


@naked
def total(a: u64, b: u64) -> u64:
    """The sum and a constant."""
    asm("""
        {ADD_ALL}
        ret
    """)


@naked
def twice(a: u64) -> u64:
    """A call of another function by its name."""
    asm("""
        mov rsi, rdi
        sub rsp, 8
        call {total}
        add rsp, 8
        ret
    """)


def divided(a: u64, b: u64) -> tuple[u64, u64]:
    """Two outputs."""
    quotient, rest = asm("xor edx, edx; div rcx", "={rax},={rdx},{rax},{rcx}", a, b, returns=tuple[u64, u64])
    return quotient, rest


def test_assembly_has_as_many_outputs_as_its_tuple() -> None:
    assert native.compile_functions([divided]).divided(47, 5) == (9, 2)


def test_a_name_stands_for_a_number_a_text_or_a_function() -> None:
    module = native.compile_functions([total, twice])
    assert module.total(2, 40) == 45
    assert module.twice(20) == 43
