# SPDX-License-Identifier: MIT
"""The report, as a browser sees it: of a run that is kept, so nothing is measured here."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.host.commands import REPOSITORY, Exo

from exokernel.host.bench_page import above, advantage, as_bytes, as_time, as_times, glance, losses, page, paragraphs
from exokernel.host.charts import Point, Row, rows, short
from exokernel.host.expectations import Results
from exokernel.host.figures import figure, read

KEPT = REPOSITORY / "bench/results.jsonl"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]
WIDTHS = (390, 768, 1280)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from exokernel.host.cli import parse

    path = tmp_path_factory.mktemp("report") / "report.html"
    parsed = parse(["bench", "--from", str(KEPT), "--html", str(path)])
    assert parsed.verb(parsed) == 0
    return path


# What a page in a frame looks like, at several widths, with everything unfolded; as text in the document.
LOOK = """
<!DOCTYPE html><body><script>
const widths = %s, found = {}, source = %s;
const inked = ["body", ".soft", ".num", "nav a", "caption", "summary", ".better"];
function look(frame, width) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const style = (selector, name) => view.getComputedStyle(page.querySelector(selector))[name];
  for (const folded of page.querySelectorAll("details")) folded.open = true;
  const outside = [...page.querySelectorAll("body *")].filter(e =>
    e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll, .slide, pre, svg")).map(e => e.outerHTML.slice(0, 200));
  found[width] = {
    wide: page.documentElement.scrollWidth,
    outside: outside.slice(0, 5),
    slides: [...page.querySelectorAll(".slide")].filter(e => e.scrollWidth > e.clientWidth + 1).length,
    resources: view.performance.getEntriesByType("resource").map(r => r.name),
    tables: page.querySelectorAll("table").length,
    figures: page.querySelectorAll("details tbody tr").length,
    sections: [...page.querySelectorAll("main section")].map(s => s.id),
    plots: page.querySelectorAll("figure svg[role=img]").length,
    small: [...page.querySelectorAll("svg text")].filter(t => t.getBoundingClientRect().height < 9).length,
    paper: style("body", "backgroundColor"),
    inks: Object.fromEntries(inked.map(s => [s, style(s, "color")])),
  };
  if (Object.keys(found).length == widths.length) {
    const answer = document.createElement("pre");
    answer.id = "answer";
    answer.textContent = JSON.stringify(found);
    document.body.replaceChildren(answer);
  }
}
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:800px;border:0`;
  frame.onload = () => look(frame, width);
  frame.srcdoc = source;
  document.body.append(frame);
}
</script>
"""


def browse(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What chromium makes of a page; its console is on stderr."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        path.write_text(text)
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}/profile", *arguments, "--dump-dom", f"file://{path}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)


def look(report: Path, *arguments: str) -> tuple[dict[str, dict], list[str]]:
    """The report at each width, and what stands on the console."""
    source = json.dumps(report.read_text()).replace("</", "<\\/")
    seen = browse(LOOK % (json.dumps(WIDTHS), source), *arguments)
    match = re.search(r'<pre id="answer">(.*?)</pre>', seen.stdout, re.DOTALL)
    assert match, seen.stdout[:2000] + seen.stderr[-2000:]
    return json.loads(html.unescape(match[1])), console_of(seen.stderr)


def console_of(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


@needs_chromium
def test_a_console_error_would_be_seen() -> None:
    seen = browse("<script>nonsense()</script><img src='https://example.invalid/'>")
    assert any("nonsense" in line for line in console_of(seen.stderr))


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_everything_at_every_width(report: Path, scheme: str) -> None:
    found, console = look(report, f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}")
    assert console == []
    figures = read(KEPT)
    for width in WIDTHS:
        seen = found[str(width)]
        assert seen["wide"] <= width and seen["outside"] == [], f"too wide at {width}"
        assert seen["slides"] == 0 or width not in (390, 1280), "a table that must be pushed about"
        assert seen["resources"] == [] and seen["small"] == 0
        assert {str(f["exhibit"]) for f in figures} <= set(seen["sections"])
        assert seen["figures"] == len(figures)
        assert seen["tables"] >= 2 * len({f["exhibit"] for f in figures}) and seen["plots"] >= 4
        paper = luminance(seen["paper"])
        assert paper > 0.8 if scheme == "light" else paper < 0.05
        for name, ink in seen["inks"].items():
            assert contrast(paper, luminance(ink)) >= 4.5, f"{name} is hard to read, {scheme}"


def luminance(color: str) -> float:
    """WCAG 2's relative luminance of `rgb(r, g, b)`."""
    red, green, blue = (int(n) / 255 for n in re.findall(r"\d+", color)[:3])
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_the_page_loads_nothing(report: Path) -> None:
    text = report.read_text()
    assert set(re.findall(r"<(script|iframe|object|embed|img|video|audio|base)\b", text)) == set()
    assert all(value.startswith(("#", "data:")) for value in re.findall(r'\b(?:src|href|action)="([^"]*)"', text))
    assert "url(" not in text and "@import" not in text and "default-src &#39;none" not in text
    assert "default-src 'none'" in text


# ---- what it says


def some(unit: str = "instructions", ours: float = 10, linux: float = 20, limit: float = 5) -> list[dict]:
    return [
        figure("e", "r", unit, [ours]),
        figure("e", "r", unit, [linux], "linux", "best"),
        figure("e", "r", unit, [linux * 3], "linux", "worst"),
        figure("e", "r", unit, [limit], "limit"),
    ]


def test_what_is_better_and_what_is_worse() -> None:
    assert losses(some()) == []
    assert losses(some(linux=5)) == ["e r: 10, Linux by best 5: 2× worse"]
    assert losses(some("per-second", 10, 5)) == ["e r: 10, Linux by worst 15: 1.5× worse"]
    assert above(some()) == [(2, "e r: 10, the least is 5")]
    assert above(some(limit=10)) == []
    assert advantage(figure("e", "r", "ratio", [1]), figure("e", "r", "ratio", [2], "linux")) is None
    assert as_times(1) == "the same" and as_times(0.5) == "2× worse" and as_times(12.345) == "12.3× better"
    assert "2× better" in glance(some()) and glance(some()[:1]) == ""


def test_numbers_as_people_write_them() -> None:
    assert [as_time(t) for t in (5, 1600, 25e6, 7.1e9)] == ["5 ns", "1.6 µs", "25 ms", "7.1 s"]
    assert [as_bytes(n) for n in (512, 2048, 3 << 20)] == ["512 bytes", "2 KiB", "3 MiB"]
    assert [short(n) for n in (0.1, 10, 1000, 1e6)] == ["0.1", "10", "1k", "1M"]


def test_what_a_figure_says_is_no_markup() -> None:
    hostile = "<script>alert(1)</script>"
    text = page(Results([figure(hostile, hostile, "instructions", [1], variant=hostile)], {"command": hostile}))
    assert hostile not in text and html.escape(hostile) in text
    assert paragraphs("a `<b>`\n\n- one\n- two") == "<p>a <code>&lt;b&gt;</code></p><ul><li>one</li><li>two</li></ul>"
    assert hostile not in rows(hostile, [Row(hostile, hostile, (Point(1, "exos", hostile),))], hostile)


def test_a_report_of_a_file_that_is_none_is_an_error(exo: Exo, tmp_path: Path) -> None:
    (tmp_path / "figures.jsonl").write_text("nonsense\n")
    run = exo("bench", "--from", "figures.jsonl", "--html", "report.html")
    assert run.returncode == 2 and "figures.jsonl, line 1" in run.stderr
    assert not (tmp_path / "report.html").exists()
    run = exo("bench", "--from", KEPT, "--html", "missing/report.html")
    assert run.returncode == 2 and "cannot write missing/report.html" in run.stderr
