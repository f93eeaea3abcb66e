# SPDX-License-Identifier: MIT
"""Being called by other environments: a Python function answers protected control transfers. Calling needs no library:
`aegis.transfer`.

A handler runs on a stack of its own, in its caller's time; while it runs nobody else can call, and the environment
cannot sleep. It decides itself whom it serves: `caller` is the kernel's word.
"""

from collections.abc import Callable

from exokernel.aegis.abi import Call  # noqa: F401  (in assembly)
from exokernel.exos import aegis
from exokernel.exos.aegis import Message
from exokernel.metal import Array, aligned, asm, naked, u8, u32, u64

STACK_BYTES = 16384
NO_METHOD = -129  # what a call of `rpc` gets that no function is for
PUSH_MESSAGE, POP_MESSAGE = aegis.saving(*reversed(aegis.MESSAGE))


def nobody(caller: u64, message: Message) -> None:
    """Answers with the question."""


stack: Array[u8, STACK_BYTES] = aligned(16, Array[u8, STACK_BYTES]())
handlers: Array[Callable[[u64, Message], None], 1] = Array[Callable[[u64, Message], None], 1]([nobody])


def serve(handler: Callable[[u64, Message], None]) -> None:
    """From now on `handler` answers calls, synchronous or not, by what it leaves in the message. If there is an entry
    already, it decides what comes here.
    """
    handlers[0] = handler
    page = aegis.environment_page()
    if page.transfer_entry == 0:
        page.transfer_entry = u32(u64(enter))
    page.transfer_asynchronous_entry = u32(u64(enter))


@naked
def enter() -> None:
    """Where the kernel continues: builds the message on the handler's stack and sends it back. No other register of
    this environment's reaches the caller. A message has 0 in `rbx`.
    """
    asm("""
        test ebx, ebx
        jnz 2f
        mov esp, offset {stack} + {STACK_BYTES}
        {PUSH_MESSAGE}
        mov rdi, rax
        mov rsi, rsp
        call qword ptr [{handlers}]
        {POP_MESSAGE}
        xor edi, edi
        {aegis.CLEAR}
    3:
        mov eax, {Call.TRANSFER_BACK}
        syscall
        ud2
    2:
        mov rbx, {NO_METHOD}
        jmp 3b
    """)
