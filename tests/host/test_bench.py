# SPDX-License-Identifier: MIT
"""`exo bench`: the figures' shape is a contract, so it is checked on real ones; the guard, on real and on changed ones."""

import json
import shutil
from pathlib import Path

import pytest
from tests.host.commands import Exo

from exokernel.host import bench, expectations
from exokernel.host.cli import parse
from exokernel.host.exhibit import Context, discover
from exokernel.host.expectations import Threshold, comparable, grown, judged
from exokernel.host.figures import KEYS, UNITS, Figure, figure, read, read_machine, summary, write
from exokernel.host.operations import NAMES
from exokernel.host.terminal import Failure

SHORT = ("primitives", "ipc", "vm")  # exact, and done in a few seconds


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
    run = exo("bench", "boot", "build", "--peer", "none", "--runs", "1", "--json", "figures.jsonl")
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
    for found in figures:
        assert tuple(found) == KEYS
        assert found["unit"] in UNITS
        assert 0 < found["min"] <= found["q1"] <= found["median"] <= found["q3"] <= found["max"]
    assert rows["boot", "to-kernel", "ns"]["min"] <= rows["boot", "to-application", "ns"]["min"]
    assert rows["boot", "memory-bytes", "bytes"]["median"] <= 8 << 20
    assert rows["build", "incremental", "ns"]["median"] < rows["build", "full", "ns"]["median"]
    assert "to-application" in run.stderr
    assert run.stdout == ""


# ---- what figures are held against


@pytest.mark.parametrize("name", discover())
def test_what_an_exhibit_is_held_against_can_be_read(name: str) -> None:
    folder = discover()[name].parent
    for report in expectations.reports(folder):
        assert report.values and report.source and report.system != "exos"
    for aim in expectations.thresholds(name, folder):
        assert aim.source and aim.aim()
        if aim.reached is not None:
            assert not aim.holds(aim.reached), f"{aim.name()} is said to be missed, and is not"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[thresholds]]\nrow = 'a'\nsource = 'b'\n", "one of at_most and at_least"),
        ("[[thresholds]]\nrow = 'a'\nsource = 'b'\nat_most = 1\nmissed = 'c'\n", "both or none"),
        ("[[thresholds]]\nrow = 'a'\nat_most = 1\n", "'source'"),
        ("[[thresholds]]\nrow = 'a'\nsource = 'b'\nat_most = 1\nunit = 'm'\n", "'m' is not a unit"),
        ("[[threshold]]\nrow = 'a'\n", "other tables"),
        ("[[thresholds]\n", "thresholds.toml"),
    ],
)
def test_an_aim_that_is_not_understood_is_an_error(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "thresholds.toml").write_text(text)
    with pytest.raises(Failure, match=complaint):
        expectations.thresholds("exhibit", tmp_path)


def outcome(value: float, system: float | None = None, **aim: object) -> str:
    """Of one aim, when `value` was measured of ours and `system` of Linux."""
    found = [figure("e", "r", "instructions", [value])]
    if system is not None:
        found += [
            figure("e", "r", "instructions", [n], "linux", v) for n, v in ((2 * system, "slow"), (system, "fast"))
        ]
        found.append(figure("e", "r", "instructions", [1], "linux", "(something else)"))
    (verdict,) = judged([Threshold(exhibit="e", row="r", source="s", **aim)], found)  # type: ignore[arg-type]
    return verdict.outcome


def test_aims_are_judged() -> None:
    assert outcome(10, at_most=10) == "holds"
    assert outcome(11, at_most=10) == "broken"
    assert outcome(11, at_least=12) == "broken"
    assert outcome(12, at_most=10, missed="why", reached=12) == "missed"
    assert outcome(13, at_most=10, missed="why", reached=12) == "broken"
    assert outcome(9, at_most=10, missed="why", reached=12) == "holds"
    assert outcome(8, at_least=10, missed="why", reached=8) == "missed"
    assert outcome(7, at_least=10, missed="why", reached=8) == "broken"
    assert outcome(50, at_most=0.1, to="linux") == "not measured"
    assert outcome(50, 500, at_most=0.1, to="linux") == "holds"
    assert outcome(51, 500, at_most=0.1, to="linux") == "broken"
    assert outcome(1, variant="other", at_most=1) == "not measured"


def test_what_grew_is_named() -> None:
    baseline = [figure("e", "exact", "instructions", [100] * 3), figure("e", "noisy", "instructions", [90, 100, 110])]
    baseline += [figure("other", "row", "instructions", [1]), figure("e", "time", "ns", [1])]

    def changed(exact: float, noisy: float) -> list[str]:
        now = [figure("e", "exact", "instructions", [exact]), figure("e", "noisy", "instructions", [noisy])]
        return [str(change) for change in grown([*now, figure("e", "new", "instructions", [9])], baseline)]

    assert changed(102, 107) == []
    assert changed(103, 100) == ["e exact: 100 instructions before, 103 now (+3.0%)"]
    assert changed(50, 108) == ["e noisy: 100 instructions before, 108 now (+8.0%)"]
    gone = grown([figure("e", "exact", "instructions", [1])], baseline)
    assert [str(change) for change in gone] == ["e noisy: 100 instructions before, not measured now"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[list[Figure]]:
    """The short exhibits, twice."""
    folder = tmp_path_factory.mktemp("figures")
    runs = []
    for name in ("first.jsonl", "second.jsonl"):
        parsed = parse(["bench", *SHORT, "--peer", "none", "--json", str(folder / name)])
        assert parsed.verb(parsed) == 0
        runs.append(read(folder / name))
    return runs


def test_the_same_command_gives_the_same_counts(measured: list[list[Figure]]) -> None:
    assert len(comparable(measured[0])) > 40
    assert measured[0] == measured[1]


def test_nothing_grew_and_no_aim_broke(
    measured: list[list[Figure]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "figures.jsonl", measured[0])
    status = check(tmp_path / "figures.jsonl")
    assert status == 0, capsys.readouterr().err


def check(path: Path) -> int:
    parsed = parse(["bench", *SHORT, "--from", str(path), "--check"])
    return int(parsed.verb(parsed))


def test_check_fails_for_what_grew_and_for_an_aim_that_broke(
    measured: list[list[Figure]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "BASELINE", tmp_path / "baseline.jsonl")
    monkeypatch.setattr(bench, "REPOSITORY", tmp_path)
    smaller = [f | {k: 0.9 * float(f[k]) for k in KEYS[5:10]} if f["row"] == "prot1" else f for f in measured[0]]
    write(tmp_path / "baseline.jsonl", smaller)
    write(tmp_path / "figures.jsonl", measured[0])
    assert check(tmp_path / "figures.jsonl") == 1
    said = capsys.readouterr().err
    assert "grew: vm prot1: " in said and "grew: vm prot1 (inverted): " in said and said.count("grew: ") == 2
    assert "0 broken" in said and "missed: ipc tlrpc: " in said and "./exo bench vm --record" in said

    write(tmp_path / "baseline.jsonl", measured[0])
    write(tmp_path / "figures.jsonl", [f | {"median": 99} if f["row"] == "tlrpc" else f for f in measured[0]])
    assert check(tmp_path / "figures.jsonl") == 1
    assert "broken: ipc tlrpc: 99 instructions, at most 48 instructions is wanted, 53 " in capsys.readouterr().err


def test_record_keeps_what_was_not_measured(
    measured: list[list[Figure]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "BASELINE", tmp_path / "baseline.jsonl")
    monkeypatch.setattr(bench, "REPOSITORY", tmp_path)
    write(tmp_path / "baseline.jsonl", [figure(name, "old", "instructions", [1]) for name in ("boot", "vm")])
    bench.record(measured[0])
    rows = {(f["exhibit"], f["row"]) for f in read(tmp_path / "baseline.jsonl")}
    assert ("boot", "old") in rows and ("vm", "old") not in rows and ("vm", "prot1") in rows


def test_a_file_that_has_something_else_in_it_is_an_error(tmp_path: Path) -> None:
    for text in ("{}", "[]", "nonsense", json.dumps(figure("e", "r", "ns", [1]) | {"median": "1"})):
        (tmp_path / "figures.jsonl").write_text(text + "\n")
        with pytest.raises(Failure, match="line 1"):
            read(tmp_path / "figures.jsonl")


def test_an_exhibit_that_fails_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (
        (
            "broken",
            "def rows(context):\n    yield context.figure('row', 'count', [1])\n    raise ValueError('it is wet')",
        ),
        ("whole", "def rows(context):\n    yield context.figure('row', 'count', [1])"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "exhibit.py").write_text(text + "\n")
    monkeypatch.setattr(bench, "discover", lambda: discover(tmp_path))
    parsed = parse(["bench", "--peer", "none", "--json", str(tmp_path / "figures.jsonl")])
    assert parsed.verb(parsed) == 1
    assert [f["exhibit"] for f in read(tmp_path / "figures.jsonl")] == ["whole"]
    assert "without broken, which failed: it is wet" in capsys.readouterr().err
    assert read_machine(tmp_path / "figures.jsonl")["failed"] == "broken"


# ---- kernel entries and so on

COUNTING = """
from exokernel.exos import aegis, measure

def main() -> None:
    number = aegis.environment_page().identifier
    if number == 1:
        while True:
            aegis.yield_to(0)
    measure.end()  # no region: none began
    before = measure.begin()
    took = measure.end() - before
    measure.row()
    print("nothing", took)
    before = measure.begin()
    aegis.null()
    aegis.null()
    aegis.null()
    took = measure.end() - before
    measure.row()
    print("calls", took)
    measure.begin()  # begun again: does not count
    aegis.null()
    before = measure.begin()
    aegis.yield_to(1)
    took = measure.end() - before
    measure.row()
    print("switches", took)
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc, which compiles what counts")
def test_operations_are_counted(tmp_path: Path) -> None:
    application = tmp_path / "counting.py"
    application.write_text(COUNTING)
    run = Context("test", operations=True).run(application, application)
    plain = Context("test").run(application, application)
    assert [line.values for line in run.printed] == [line.values for line in plain.printed]
    counts = {line.row: [tuple(region) for region in line.regions] for line in run.printed}
    assert counts == {"nothing": [(0, 0, 0, 0)], "calls": [(3, 0, 0, 0)], "switches": [(2, 2, 2, 0)]}
    assert all(line.regions == [] for line in plain.printed)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc, which compiles what counts")
def test_operations_of_the_primitives(measured: list[list[Figure]]) -> None:
    found = {(f["row"], f["variant"]): f["median"] for f in measured[0] if f["exhibit"] == "primitives"}

    def counts(row: str) -> list[object]:
        return [found[row, name] for name in NAMES]

    assert counts("null-call") == [1, 0, 0, 0]
    assert counts("tlb-protect") == [1, 0, 0, 1]
    assert counts("tlb-protect-100") == [1, 0, 1, 0], "loading the same table again flushes, and is no switch"
    assert counts("page-fault") == [1, 0, 0, 0], "a handler returns without the kernel"
    assert counts("transfer-round-trip") == [2, 2, 2, 0]


def test_without_gcc_a_line_says_what_is_missing(exo: Exo, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    qemu = shutil.which("qemu-system-x86_64")
    assert qemu is not None
    (tmp_path / "bin/qemu-system-x86_64").symlink_to(qemu)
    run = exo("bench", "ipc", "--peer", "none", "--json", "-", PATH=str(tmp_path / "bin"))
    assert run.returncode == 0, run.stderr
    assert "are not counted: gcc is not installed" in run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert any(f["row"] == "pipe" for f in found) and not any(f["unit"] == "count" for f in found)


def test_the_products_own_paths_cost_as_in_c(exo: Exo, tmp_path: Path) -> None:
    run = exo("bench", "paths", "--json", "figures.jsonl")
    assert run.returncode == 0, run.stderr  # which it is not when C and the dialect differ in one result
    figures = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    ratios = {f["row"]: f["median"] for f in figures if f["unit"] == "ratio"}
    assert len(ratios) == 11
    assert ratios["median"] <= 1.05
    assert max(ratios.values()) < 1.2
