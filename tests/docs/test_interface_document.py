# SPDX-License-Identifier: MIT
"""docs/abi.md says what the kernel does: table, stubs, call numbers and the kernel's own tables agree, and the committed
text and numbers are those of today.
"""

import inspect
import re
import shutil

import pytest

from exokernel.aegis import abi, calls
from exokernel.aegis.abi import Call, Error
from exokernel.exos import aegis, ash
from exokernel.host import interface_document
from exokernel.host.interface import INTERFACE, Description
from exokernel.host.interface_document import DOCUMENT, document, meanings, name_of, stated_costs

BY_CALL = {description.call: description for description in INTERFACE}
STUB = re.compile(r"\bCall\.([A-Z_]+)\b")


def stubs() -> dict[str, set[str]]:
    """The functions of exos/aegis.py, and of ash.py, that make a call, and which they name."""
    everything = vars(aegis) | vars(ash)
    functions = {n: f for n, f in everything.items() if inspect.isfunction(f) and f.__module__ == aegis.__name__}
    found = {name: set(STUB.findall(inspect.getsource(function))) for name, function in functions.items()}
    return {name: named for name, named in found.items() if named}


def test_the_document_is_current() -> None:
    text = DOCUMENT.read_text()
    assert text == document(stated_costs(text)), "run python -m exokernel.host.interface_document"


def test_check_notices_a_document_that_is_not_current(tmp_path, monkeypatch, capsys) -> None:
    stale = interface_document.REPOSITORY / "docs/architecture.md"
    monkeypatch.setattr(interface_document, "DOCUMENT", stale)
    before = stale.read_text()
    assert interface_document.main(["--check"]) == 1 and "not current" in capsys.readouterr().out
    assert stale.read_text() == before


def test_every_call_is_described_once_and_has_one_stub() -> None:
    assert len(BY_CALL) == len(INTERFACE) and set(BY_CALL) == set(Call)
    assert stubs() == {call.name.lower(): {call.name} for call in Call}


def test_the_kernel_answers_the_described_calls_and_no_others() -> None:
    for number in range(256):
        special = calls.OWN_ENTRIES.get(number, calls.call_entry) is not calls.call_entry
        handled = calls.CALLS.get(number, calls.no_call) is not calls.no_call
        assert (special or handled) == (number in BY_CALL), f"call {number}"


@pytest.mark.parametrize("description", INTERFACE, ids=name_of)
def test_a_description_is_complete(description: Description) -> None:
    """What it needs, and how much work it is, said for each; the errors are real, and the stub names them too."""
    assert len(description.arguments) <= len(interface_document.REGISTERS)
    assert all(a.name and a.unit and a.values for a in description.arguments)
    assert description.result and description.rights and description.bound and description.source
    docstring = interface_document.stub_of(description).__doc__
    assert docstring
    for error in description.errors:
        assert error in Error.__members__ and error in docstring, error


def test_every_error_has_a_meaning() -> None:
    assert set(meanings(abi.Error)) == set(Error.__members__)


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")
def test_the_costs_are_those_measured() -> None:
    """Within a half: a change of the compiler or of the kernel's code may move them a little."""
    stated = {name: cost for name, cost in stated_costs(DOCUMENT.read_text()).items() if cost != "-"}
    measured = interface_document.measured_costs()
    assert stated.keys() == measured.keys()
    for name, cost in stated.items():
        was, now = int(cost.split()[0]), int(measured[name].split()[0])
        assert abs(was - now) <= was / 2, f"{name}: {was} stated, {now} measured; --measure renews them"
