# SPDX-License-Identifier: MIT
"""The same with the inverted page table."""

from random_ends import PROGRAMS, main  # noqa: F401

from exokernel.exos import inverted  # noqa: F401
