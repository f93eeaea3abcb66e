# SPDX-License-Identifier: MIT
"""0 gives everybody else the right to look on. All of them try; who looks on sees two frames, says so and ends; who may not
tries again and again until one has ended.
"""

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, Right, State
from exokernel.exos import aegis, transfer
from exokernel.exos.aegis import Message
from exokernel.exos.net import capture
from exokernel.metal import addr, i64, u64

SLOT = 5
FRAMES = 2


def give(caller: u64, message: Message) -> None:
    message.words[0] = capture.NAME
    message.words[1] = Right.READ
    message.words[2] = u64(aegis.capability_mint(capture.NAME, Right.READ))


def watch(identifier: u64) -> None:
    message = Message()
    while message.words[0] == 0:  # until it serves
        aegis.yield_to(abi.ANY_ENVIRONMENT)
        aegis.transfer(0, message)
    assert aegis.bind(SLOT, message.words[0], message.words[1], message.words[2]) == 0
    tries: u64 = 0
    answer: i64 = Error.BUSY
    while answer == Error.BUSY:
        answer = aegis.capture_bind(u64(addr(capture.ring)), SLOT)
        if answer == Error.BUSY and tries == 0:
            print("busy", identifier)
        tries += 1
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("looks on", answer)
    while capture.ring.indices.producer < FRAMES:
        aegis.yield_to(abi.ANY_ENVIRONMENT)
    print("saw", FRAMES)


def main() -> None:
    identifier = aegis.environment_page().identifier
    if identifier != 0:
        watch(identifier)
        return
    transfer.serve(give)
    for i in range(1, abi.ENVIRONMENTS):
        while aegis.system_page().environments[i].state != State.FREE:
            aegis.yield_to(abi.ANY_ENVIRONMENT)
