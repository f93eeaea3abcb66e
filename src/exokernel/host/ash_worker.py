# SPDX-License-Identifier: MIT
"""Processes in which handlers run, so that whatever happens there ends nothing else.

A worker is forked with the compiled inspector and translator in it, gets whole chunks of requests (JSON lines) and
answers each with one line. One that dies is replaced; the request that it died of gets an answer that says so.
"""

import json
import os
import signal
import struct
from collections.abc import Sequence
from typing import Any

from exokernel.aegis.inspection import Profile
from exokernel.host.ash_machine import DEFAULT_BUDGET, HandlerMachine, Outcome, compiled

PROFILES = {"memory": Profile.MEMORY, "packet": Profile.PACKET}
KEYS = {"id", "prog", "profile", "mem", "budget"}


def answer(machine: HandlerMachine, line: bytes, interpret: bool) -> dict[str, Any]:
    """One request's answer; a request that is none gives the outcome `error`."""
    identifier = None
    try:
        request = decoded(line)
        identifier = request.get("id")
        if unknown := sorted(request.keys() - KEYS):
            raise ValueError(f"a request has no key {unknown[0]!r}")
        if "prog" not in request:
            raise ValueError("a request has a program, under the key 'prog'")
        profile = request.get("profile", "memory")
        if not isinstance(profile, str) or profile not in PROFILES:
            raise ValueError('a profile is "memory" or "packet"')
        program, data = (_bytes(request, key) for key in ("prog", "mem"))
        budget = request.get("budget", DEFAULT_BUDGET)
        if not isinstance(budget, int) or isinstance(budget, bool):
            raise ValueError("a budget is a whole number")
        return rendered(machine.run(program, PROFILES[profile], data, budget, interpret), identifier)
    except ValueError as error:
        return {"id": identifier, "outcome": "error", "reason": str(error)}


def decoded(line: bytes) -> dict[str, Any]:
    """A request as an object, whose id can be given back. Raises ValueError in words for whoever wrote the line."""
    try:
        request = json.loads(line, parse_constant=_not_a_number)
        if isinstance(request, dict):
            json.dumps(request.get("id"), allow_nan=False)
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the line is not JSON: {error.msg}, at character {error.pos}") from None
    except ValueError:
        raise ValueError("the line has a number that is too large, or NaN") from None
    if not isinstance(request, dict):
        raise ValueError("a request is an object")
    return request


def _not_a_number(text: str) -> object:
    raise ValueError(text)


def _bytes(request: dict[str, Any], key: str) -> bytes:
    text = request.get(key, "")
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise ValueError(f"{key!r} is a string of hexadecimal digits, two a byte") from None


def rendered(outcome: Outcome, identifier: object) -> dict[str, Any]:
    """An outcome as an answer."""
    found: dict[str, Any] = {"id": identifier, "outcome": outcome.outcome, "mem": outcome.data.hex()}
    if outcome.outcome == "returned":
        asked = outcome.effects
        if asked.copies:
            found["copies"] = [{"tag": tag, "bytes": data.hex()} for tag, data in asked.copies]
        if asked.frames:
            found["frames"] = [frame.hex() for frame in asked.frames]
        if asked.woken:
            found["woken"] = [i for i in range(64) if asked.woken >> i & 1]
        return found | {"r0": hex(outcome.result)}
    return found | {"reason": outcome.text, "pc": outcome.place}


_ends: set[int] = set()
"""Our ends of all pipes: a worker that kept another's open would keep it from ever seeing the end of its requests."""


class Worker:
    """One process. `machine` is made there, at the first request."""

    def __init__(self, interpret: bool) -> None:
        self._interpret = interpret
        self._start()

    def _start(self) -> None:
        from_us, to_worker = os.pipe()
        from_worker, to_us = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                for end in (*_ends, to_worker, from_worker):
                    os.close(end)
                self._serve(from_us, to_us)
            finally:
                os._exit(0)
        os.close(from_us)
        os.close(to_us)
        _ends.update((to_worker, from_worker))
        self._to, self._from = to_worker, os.fdopen(from_worker, "rb")

    def _serve(self, requests: int, answers: int) -> None:
        machine = HandlerMachine()
        with os.fdopen(requests, "rb") as stream:
            while header := stream.read(4):
                # The whole chunk is read before anything is answered, so neither side waits for the other to read.
                for line in stream.read(struct.unpack("<I", header)[0]).split(b"\n"):
                    reply = json.dumps(answer(machine, line, self._interpret)).encode() + b"\n"
                    while reply:
                        reply = reply[os.write(answers, reply) :]

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        _ends.difference_update((self._to, self._from.fileno()))
        os.kill(self.process, signal.SIGKILL)
        os.close(self._to)
        self._from.close()
        os.waitpid(self.process, 0)

    def send(self, lines: Sequence[bytes]) -> None:
        """Hand over a chunk; `receive` must follow."""
        self._sent = list(lines)
        if lines:
            chunk = b"\n".join(lines)
            data = struct.pack("<I", len(chunk)) + chunk
            try:
                while data:
                    data = data[os.write(self._to, data) :]
            except BrokenPipeError:
                pass  # it died; `receive` sees that

    def receive(self) -> list[dict[str, Any]]:
        """The answers to what was sent, in order."""
        answers: list[dict[str, Any]] = []
        while len(answers) < len(self._sent):
            line = self._from.readline()
            if line.endswith(b"\n"):
                answers.append(json.loads(line))
                continue
            rest = self._sent[len(answers) :]
            self.stop()
            self._start()
            answers.append({"id": _identifier(rest[0]), "outcome": "error", "reason": "the worker process died of it"})
            self.send(rest[1:])
            answers += self.receive()
            break
        return answers


def _identifier(line: bytes) -> object:
    try:
        return decoded(line).get("id")
    except ValueError:
        return None


class Pool:
    """Workers for as many requests at once as there are processors."""

    def __init__(self, interpret: bool = False, workers: int | None = None) -> None:
        compiled()  # once, into the cache
        self._workers = [Worker(interpret) for _ in range(workers or len(os.sched_getaffinity(0)))]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def run(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """The answers, in order."""
        share = -(-len(lines) // len(self._workers)) if lines else 0
        for i, worker in enumerate(self._workers):
            worker.send(lines[i * share : (i + 1) * share])
        return [answer for worker in self._workers for answer in worker.receive()]
