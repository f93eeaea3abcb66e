# SPDX-License-Identifier: MIT
"""One application for each attack, named after what it tries, beside a well-behaved one; all in one machine, but for
those that take everything.

An attack says in ENDS which exceptions may end it; without that it must live, and return 0: the count of what it got. The 50
attacks of applications/attacks.py are run by test_protection.py.
"""

import ast
import re
import shutil
from pathlib import Path

import pytest
from tests.system.guests import running

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")

HERE = Path(__file__).parent
STEADY = HERE / "applications/steady.py"
NO_ATTACKS = ("family", "reborn", "revoker")  # what some of them need, and two that are environment 0 themselves
ATTACKS = sorted(path for path in (HERE / "adversary").glob("*.py") if path.stem not in NO_ATTACKS)
GREEDY = [path for path in ATTACKS if path.stem.startswith("exhaust_")]
COMPANY = [HERE / f"adversary/{name}.py" for name in ("answer_at_once", "call_everybody", "leave_secrets_in_registers")]
REVOKED = [path for path in ATTACKS if "\nREVOKED = True\n" in path.read_text()]
TOGETHER = [path for path in ATTACKS if path not in [*GREEDY, *COMPANY, *REVOKED]]
GROUP = 20
GROUPS = [TOGETHER[i : i + GROUP] for i in range(0, len(TOGETHER), GROUP)]


def possible_ends(attack: Path) -> tuple[int, ...]:
    """The exceptions by which an attack may end."""
    for statement in ast.parse(attack.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ENDS":
            return tuple(ast.literal_eval(statement.value))
    return ()


def attack_together(attacks: list[Path], witness: Path = STEADY) -> None:
    with running([witness, *attacks]) as guest:
        guest.wait()
        ended = {e.number("environment"): e for e in guest.events if e.name == "ended"}
        failed = []
        for number, attack in enumerate(attacks, 1):
            event, ends = ended.get(number), possible_ends(attack)
            if event is None:
                failed.append(f"{attack.stem}: never ended")
            elif event.values["reason"] == "exception":
                if event.number("vector") not in ends:
                    failed.append(f"{attack.stem}: {event}")
            elif ends or event.number("status") != 0:
                failed.append(f"{attack.stem}: {event}, expected {ends or 'status 0'}")
        assert {event.name for event in guest.events} <= {"boot", "start", "ended", "exit"}, guest.transcript()
        assert not failed, "\n".join(failed) + "\n" + guest.transcript()
        steady = re.search(rb"^steady rounds (\d+) wrong (\d+) others (\d+)$", guest.console, re.MULTILINE)
        assert steady and int(steady[1]) > 0 and int(steady[2]) == int(steady[3]) == 0, guest.transcript()
        assert guest.status == 0, guest.transcript()


@pytest.mark.parametrize("attacks", GROUPS, ids=lambda group: f"{group[0].stem}-to-{group[-1].stem}")
def test_attacks_get_nothing(attacks: list[Path]) -> None:
    attack_together([*COMPANY, *attacks])


@pytest.mark.parametrize("attack", GREEDY, ids=lambda path: path.stem)
def test_who_takes_everything_harms_nobody(attack: Path) -> None:
    attack_together([attack, HERE / "adversary/refuse_to_yield.py"])


def test_who_must_give_back_does() -> None:
    """Of all who are revoked at once each ends up with what it may keep, whatever it does meanwhile; and who gave back
    what it was asked for loses nothing else.
    """
    attack_together(REVOKED, HERE / "adversary/revoker.py")


def test_nothing_outlives_what_it_belonged_to() -> None:
    """Orders against environments that ended, bindings to their frames, pages of frames that were broken."""
    with running([HERE / "adversary/reborn.py"]) as guest:
        guest.wait()
        assert guest.console == b"done\n" and guest.status == 0, guest.transcript()


def test_the_adversaries_are_many() -> None:
    assert len(ATTACKS) >= 130
