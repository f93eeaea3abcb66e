# SPDX-License-Identifier: MIT
"""Every promise of docs/security.md names tests, and all that it names exists; every attack is named or run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/security.md").read_text()
PROMISED = TEXT[TEXT.index("## Promised") : TEXT.index("## Not promised")]
PROMISES = re.findall(r"^\*\*([A-Z]\d+)\. (.+?)(?=^\*\*[A-Z]\d+\. |^###|\Z)", PROMISED, re.MULTILINE | re.DOTALL)
NAMED = sorted(set(re.findall(r"`((?:tests|bench|docs|src|examples)/[^`]+)`", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    if function:
        tree = ast.parse((ROOT / path).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("number", "text"), PROMISES, ids=[number for number, _ in PROMISES])
def test_every_promise_names_a_test(number: str, text: str) -> None:
    tests = re.findall(r"`(tests/\S+?::test_\w+|tests/system/adversary/\w+\.py)`", text)
    assert tests, f"{number} is only a claim"


def test_promises_are_numbered_once() -> None:
    numbers = [number for number, _ in PROMISES]
    assert len(numbers) == len(set(numbers)) == len(re.findall(r"^\*\*", PROMISED, re.MULTILINE))
