# SPDX-License-Identifier: MIT
"""The web and key-value applications in a booted machine against the clients that people use: a browser, wrk,
redis-cli, redis-benchmark; and Linux's own TCP on the same wire, in good weather and bad.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.system.guests import EXAMPLES, beside_linux, free_tcp_port, link, running

from exokernel.host.exhibit import EXHIBITS, load
from exokernel.host.namespace import GUEST, namespace, open_tap
from exokernel.host.terminal import Failure

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

TARGET = EXHIBITS / "hostile/server.py"


def tool(name: str, package: str = "") -> str:
    """Its path, or the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (package {package or name})")
    return found


@pytest.fixture(scope="module")
def web() -> ModuleType:
    return load("http", EXHIBITS / "http/exhibit.py")


@pytest.fixture(scope="module")
def keys() -> ModuleType:
    return load("kv", EXHIBITS / "kv/exhibit.py")


# ---- a browser

BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"]
BROWSER += [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]
BROWSER += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def browse(url: str, folder: Path) -> tuple[str, list[str]]:
    """The page after some seconds of its own time, and what it complained of."""
    words = [tool("chromium"), *BROWSER, f"--user-data-dir={folder}", "--virtual-time-budget=8000", "--dump-dom", url]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return run.stdout, re.findall(r'CONSOLE.*?\] "(.*)", source', run.stderr)


def state(port: int) -> Any:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/state.json")
    found = json.loads(client.getresponse().read())
    client.close()
    return found


def shown(page: str, name: str) -> int:
    """The number in the element of that name, without its commas."""
    match = re.search(rf'id="{name}">([\d,]+)', page)
    assert match is not None, (name, page)
    return int(match[1].replace(",", ""))


def test_a_browser_shows_the_machine(tmp_path: Path) -> None:
    """The numbers of the page are the machine's, they move, nothing is complained of, and nothing is anywhere else."""
    text = (EXAMPLES / "web.html").read_text()
    assert re.findall(r"""(?:https?:)?//[^\s"']+""", text) == ["http://www.w3.org/2000/svg"]  # a name, not a place
    port = free_tcp_port()
    applications = [EXAMPLES / "web.py", EXAMPLES / "top.py"]
    with running(applications, forward=[f"tcp:{port}:80"]) as guest:
        guest.wait_for(b"Pages on TCP")
        before = state(port)
        first, complaints = browse(f"http://127.0.0.1:{port}/", tmp_path)
        between = state(port)
        second, more = browse(f"http://127.0.0.1:{port}/", tmp_path)
        after = state(port)
    assert complaints == more == []
    for page, low, high in ((first, before, between), (second, between, after)):
        assert low["requests"] < shown(page, "requests") < high["requests"]
        assert low["received"] < shown(page, "received") < high["received"]
        assert shown(page, "frames") == high["frames_free"] == low["frames_free"]
        assert len(re.findall(r'title="slice \d+: ', page)) == 64
        table = re.findall(
            r"<tr><td>(\d+)</td><td><i [^>]*></i>(\w+)</td><td>\w+</td><td>(\d+)</td><td>([\d,]+)</td>", page
        )
        environments = [(e["number"], e["name"], e["slices"], e["frames"]) for e in high["environments"]]
        assert [(int(n), name, int(s), int(f.replace(",", ""))) for n, name, s, f in table] == environments
        line = re.search(r'id="line" [^>]*points="([^"]+)"', page)
        assert line is not None and len(line[1].split()) >= 3, "it asks again and again"
    assert {e["name"] for e in after["environments"]} == {"web", "top"}
    assert after["slices"].count(0) == next(e["slices"] for e in after["environments"] if e["number"] == 0)


def test_a_complaint_of_a_page_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>console.error('this is wrong'); fetch('http://elsewhere.test/')</script>")
    complaints = browse(f"file://{page}", tmp_path / "profile")[1]
    assert complaints == ["this is wrong", "Uncaught (in promise) TypeError: Failed to fetch"]


# ---- load, from Linux's TCP


def test_wrk(web: ModuleType) -> None:
    """1, 8 and 50 connections, kept or not: every request is answered and no connection reset."""
    tool("wrk")
    with beside_linux([EXAMPLES / "web.py"]) as guest:
        guest.wait_for(b"Pages on TCP")
        for variant, connections in (("keep-alive", 1), ("keep-alive", 8), ("keep-alive", 50), ("new-connection", 8)):
            assert web.rate(GUEST, 80, variant, connections) > 0


def test_redis_benchmark_with_fifty_connections(keys: ModuleType) -> None:
    """One at a time and sixteen; and all of its own kinds that the server knows."""
    benchmark = tool("redis-benchmark", "redis-tools")
    with beside_linux([EXAMPLES / "kv.py"]) as guest:
        guest.wait_for(b"Keys and values")
        for variant in ("pipeline-1", "set pipeline-16"):
            assert keys.rate(GUEST, 6379, variant, 10_000) > 0
        words = [benchmark, "-h", GUEST, "-t", "ping,set,get,incr,mset", "-n", "5000", "-c", "50", "-P", "16", "--csv"]
        run = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        assert run.stderr == "" and len(run.stdout.splitlines()) == 7, run.stdout + run.stderr


def test_the_clients_of_the_exhibits_notice_a_wrong_answer(web: ModuleType, keys: ModuleType) -> None:
    """They check what comes, or a fast server of nonsense would win."""
    port = free_tcp_port()
    with running([EXAMPLES / "web.py"], forward=[f"tcp:{port}:80"]) as guest:
        guest.wait_for(b"Pages on TCP")
        for variant in web.VARIANTS:
            with pytest.raises(ValueError, match="not the page"):
                web.drive(port, variant, 16)
        with pytest.raises(ValueError, match="nothing was set"):
            keys.drive(port, "pipeline-1", 1)


def test_the_exhibits_drive_their_servers(web: ModuleType, keys: ModuleType) -> None:
    with web.serving() as server:
        for variant in web.VARIANTS:
            web.drive(server.page, variant, 32)
    port = free_tcp_port()
    with running([EXAMPLES / "kv.py"], forward=[f"tcp:{port}:6379"]) as guest:
        guest.wait_for(b"Keys and values")
        for variant in keys.VARIANTS:
            keys.drive(port, variant, 128)


# ---- Linux's own TCP as the peer, in bad weather


class Weather:
    """Carries frames between Linux's tap device and the guest's wire, and loses some of both directions. (Linux's own
    sch_netem does that too, where it is built in.)
    """

    def __init__(self, tap: int, wire: Any, loss: float) -> None:
        self.tap, self.wire, self.loss = tap, wire, loss
        self.chance = random.Random(3)
        self.carried = self.lost = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.carry)

    def carry(self) -> None:
        near = self.wire.socket
        while not self.over.is_set():
            for ready in select.select([self.tap, near], [], [], 0.1)[0]:
                frame = os.read(self.tap, 65536) if ready is self.tap else near.recv(65536)
                self.carried += 1
                if self.chance.random() < self.loss:
                    self.lost += 1
                elif ready is self.tap:
                    self.wire.send(frame)
                else:
                    os.write(self.tap, frame)


@contextmanager
def in_weather(application: Path, ready: bytes, loss: float) -> Iterator[Weather]:
    with ExitStack() as stack:
        try:
            stack.enter_context(namespace())
        except Failure as reason:
            pytest.skip(reason.message)
        tap, wire = stack.enter_context(open_tap()), stack.enter_context(link())
        guest = stack.enter_context(running([application], link=wire.option))
        guest.wait_for(ready)
        weather = Weather(tap, wire, loss)
        weather.thread.start()
        try:
            yield weather
        finally:
            weather.over.set()
            weather.thread.join()


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_bulk_both_ways_at_once_with_linux(loss: float) -> None:
    """A MiB to the echo and back while more goes out: every byte comes back in its place."""
    data = random.Random(1).randbytes(1 << 20)
    with in_weather(TARGET, b"ready", loss) as weather:
        with socket.create_connection((GUEST, 7), timeout=60) as connection:
            sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
            sender.start()
            came = b""
            while piece := connection.recv(65536):
                came += piece
            sender.join()
        assert came == data
        assert weather.carried > 1500 and (weather.lost > 20) == (loss > 0)


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_pages_for_linux_in_any_weather(loss: float) -> None:
    page = (EXAMPLES / "web.html").read_bytes()
    with in_weather(EXAMPLES / "web.py", b"Pages on TCP", loss):
        for _ in range(3):
            client = http.client.HTTPConnection(GUEST, 80, timeout=60)
            for _ in range(20):
                client.request("GET", "/")
                assert client.getresponse().read() == page
            client.close()


# ---- hostile peers


def test_a_hostile_crowd_breaks_nothing_and_leaves_nothing_behind() -> None:
    """A short run of what `./exo bench hostile` does a million times; whatever is wrong raises there."""
    hostile = load("hostile", EXHIBITS / "hostile/exhibit.py")
    done = hostile.attack(30_000, seed=5)
    assert sum(done.sent.values()) == 30_000 and min(done.sent.values()) > 2_000
    assert done.opened > 100 and done.cookies > 500, "strangers come in, and too many knock"
    assert done.received >= 30_000 and done.answers >= 60 and done.witness >= 1
