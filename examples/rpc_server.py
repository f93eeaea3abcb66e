# SPDX-License-Identifier: MIT
"""A server whose methods others call in its address space: accounts, one for each caller.

    ./exo run examples/rpc_server.py examples/rpc_client.py examples/rpc_client.py

`Accounts` is what both sides know. The clients do not trust the server: nothing that it does to registers or stacks
harms them. The server does not trust the clients either: whose account is meant is not for them to say, since the kernel
tells who calls.
"""

from exokernel.aegis import abi
from exokernel.exos import aegis, rpc, shared
from exokernel.metal import Array, i64, u64

SERVER = 0  # its environment


@rpc.interface(1)
class Accounts:
    """What a client calls; each method answers with a result and an error."""

    def deposit(self, amount: u64) -> tuple[u64, i64]:
        """Add to the caller's account. What is in it now."""
        ...

    def withdraw(self, amount: u64) -> tuple[bool, i64]:
        """Take from it; False if there is not as much."""
        ...

    def balance(self) -> tuple[u64, i64]:
        """What is in it."""
        ...


accounts: Array[u64, abi.ENVIRONMENTS] = Array[u64, abi.ENVIRONMENTS]()


def deposit(caller: u64, amount: u64) -> u64:
    accounts[caller] += amount
    return accounts[caller]


def withdraw(caller: u64, amount: u64) -> bool:
    if amount > accounts[caller]:
        return False
    accounts[caller] -= amount
    return True


def balance(caller: u64) -> u64:
    return accounts[caller]


rpc.implement(Accounts, deposit, withdraw, balance)


def main() -> None:
    rpc.serve()
    for client in range(1, abi.ENVIRONMENTS):
        partner = shared.partner(client)
        while shared.alive(partner):
            aegis.yield_to(abi.ANY_ENVIRONMENT)
        if accounts[client] != 0:
            print(f"environment {client} left {accounts[client]}")
