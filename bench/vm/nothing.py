# SPDX-License-Identifier: MIT
"""The program that is spawned."""


def main() -> None:
    pass
