# SPDX-License-Identifier: MIT
"""`exo bench`: the figures' shape is a contract (design: "Contracts"), so it is checked on real ones."""

import json
from pathlib import Path

import pytest
from tests.host.commands import Exo

from exokernel.host.bench import KEYS, UNITS, Context, discover, summary


def test_summary() -> None:
    assert summary([4, 1, 3, 2, 5]) == {"min": 1, "q1": 2, "median": 3, "q3": 4, "max": 5, "n": 5}
    assert summary([1, 2]) == {"min": 1, "q1": 1.25, "median": 1.5, "q3": 1.75, "max": 2, "n": 2}
    assert summary([7]) == {"min": 7, "q1": 7, "median": 7, "q3": 7, "max": 7, "n": 1}
    with pytest.raises(ValueError, match="at least one"):
        summary([])


def test_a_figure_has_the_contracts_keys() -> None:
    figure = Context("boot").figure("to-kernel", "ns", [1.5, 2])
    assert tuple(figure) == KEYS
    assert figure["system"] == "exos"


def test_exhibits_are_listed(exo: Exo) -> None:
    run = exo("bench", "--list")
    assert run.returncode == 0
    names = [line.split()[0] for line in run.stdout.splitlines()]
    assert names == list(discover())
    assert {"boot", "build"} <= set(names)


def test_boot_and_build_are_measured(exo: Exo, tmp_path: Path) -> None:
    run = exo("bench", "boot", "build", "--runs", "1", "--json", "figures.jsonl")
    assert run.returncode == 0, run.stderr
    figures = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    rows = {(f["exhibit"], f["row"], f["unit"]): f for f in figures}
    assert set(rows) >= {
        ("boot", "to-kernel", "ns"),
        ("boot", "to-application", "ns"),
        ("boot", "to-kernel", "instructions"),
        ("boot", "to-application", "instructions"),
        ("boot", "image-bytes", "bytes"),
        ("boot", "memory-bytes", "bytes"),
        ("build", "full", "ns"),
        ("build", "incremental", "ns"),
    }
    for figure in figures:
        assert tuple(figure) == KEYS
        assert figure["unit"] in UNITS
        assert 0 < figure["min"] <= figure["q1"] <= figure["median"] <= figure["q3"] <= figure["max"]
    assert rows["boot", "to-kernel", "ns"]["min"] <= rows["boot", "to-application", "ns"]["min"]
    assert rows["boot", "memory-bytes", "bytes"]["median"] <= 8 << 20
    assert rows["build", "incremental", "ns"]["median"] < rows["build", "full", "ns"]["median"]
    assert "to-application" in run.stderr
    assert run.stdout == ""


def test_the_products_own_paths_cost_as_in_c(exo: Exo, tmp_path: Path) -> None:
    run = exo("bench", "paths", "--json", "figures.jsonl")
    assert run.returncode == 0, run.stderr  # which it is not when C and the dialect differ in one result
    figures = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    ratios = {f["row"]: f["median"] for f in figures if f["unit"] == "ratio"}
    assert len(ratios) == 11
    assert ratios["median"] <= 1.05
    assert max(ratios.values()) < 1.2
