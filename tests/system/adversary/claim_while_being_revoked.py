# SPDX-License-Identifier: MIT
"""Asked for frames, claims 4000 more, and when its time to give frames back is over, others, of both kinds, for as long as
it lives.
"""

from family import await_order, hoard, later

from exokernel.aegis import abi
from exokernel.exos import aegis
from exokernel.machine.cpu import read_timestamp

REVOKED = True


def main() -> None:
    hoard()
    await_order()
    until = later(1500)
    for _ in range(4000):
        aegis.frame_claim(abi.ANY)
    while read_timestamp() < aegis.environment_page().wanted_until[0]:
        pass
    while read_timestamp() < until:
        aegis.frame_claim(abi.ANY)
        aegis.frame_claim_table(abi.ANY)
