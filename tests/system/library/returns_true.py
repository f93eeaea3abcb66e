# SPDX-License-Identifier: MIT
"""A bool is a status as well."""


def main() -> bool:
    return True
