# SPDX-License-Identifier: MIT
"""A client of examples/rpc_server.py: pays in and out, and checks the books, since it does not trust the server."""

from rpc_server import SERVER, Accounts

from exokernel.aegis import abi
from exokernel.aegis.abi import Error
from exokernel.exos import aegis, shared
from exokernel.metal import i64, u64

PAYMENTS = 1000


def wait(error: i64) -> bool:
    """Whether to call again later: the server works for somebody else, or is not there yet."""
    if error != Error.BUSY and error != Error.NO_ENTRY:
        return False
    aegis.yield_to(abi.ANY_ENVIRONMENT)
    return True


def main() -> i64:
    me = aegis.environment_page().identifier
    bank = Accounts(shared.partner(SERVER))
    mine: u64 = 0
    for payment in range(PAYMENTS):
        now, error = bank.deposit(me * payment)
        while wait(error):
            now, error = bank.deposit(me * payment)
        if error < 0:
            print("the server is lost:", error)
            return 1
        mine += me * payment
        if now != mine:
            print("the server cheats")
            return 1
    gone, error = bank.withdraw(mine + 1)
    while wait(error):
        gone, error = bank.withdraw(mine + 1)
    left, error = bank.balance()
    while wait(error):
        left, error = bank.balance()
    print(f"environment {me} has {left}; more than that it gets: {gone}")
    return 0
