# SPDX-License-Identifier: MIT
"""A short run of the fuzzer that `./exo bench fuzz` runs at length."""

import shutil
from types import ModuleType

import pytest

from exokernel.host.exhibit import EXHIBITS, load
from exokernel.host.interface import INTERFACE

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

EXHIBIT = EXHIBITS / "fuzz/exhibit.py"


@pytest.fixture(scope="module")
def exhibit() -> ModuleType:
    return load("fuzz", EXHIBIT)


def test_a_hundred_thousand_random_calls_break_no_promise(exhibit: ModuleType) -> None:
    done = exhibit.fuzz(seed=1, calls=25_000)
    assert sum(count for count, _ in done.values()) == 100_000


def test_a_seed_is_a_run(exhibit: ModuleType) -> None:
    """With instructions as the clock the same seed gives the same answers; another seed gives others."""
    first, again, other = (exhibit.fuzz(seed, calls=2_000, icount=True) for seed in (7, 7, 8))
    assert first == again != other


def test_every_kind_of_argument_has_a_generator() -> None:
    kinds = {argument.values for description in INTERFACE for argument in description.arguments}
    fuzzer = load("fuzzer", EXHIBIT.with_name("fuzz.py"))
    assert kinds <= set(fuzzer.KINDS)
