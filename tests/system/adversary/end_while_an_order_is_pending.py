# SPDX-License-Identifier: MIT
"""Asked for frames, ends."""

from family import await_order, hoard

REVOKED = True


def main() -> None:
    hoard()
    await_order()
