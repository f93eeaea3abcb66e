# SPDX-License-Identifier: MIT
"""Compiled packet filters in a booted machine: the exhibit checks each answer, here the counts are held to the targets."""

import shutil
from pathlib import Path

import pytest

from exokernel.host.bench import Context, load

EXHIBIT = Path(__file__).resolve().parents[2] / "bench/filter/exhibit.py"

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def test_the_cost_grows_with_the_headers_and_not_with_the_filters() -> None:
    figures = {(f["row"], f["variant"]): f for f in load("filter", EXHIBIT).rows(Context("filter"))}
    ten, many = figures["classify-10", "compiled"], figures["classify-500", "compiled"]
    assert ten["n"] == many["n"] == 101
    assert 20 < ten["max"] <= 60
    assert many["median"] <= ten["median"] + 5
    assert many["max"] <= 2 * ten["median"]
