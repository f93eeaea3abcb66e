# SPDX-License-Identifier: MIT
"""The kernel's inspector and translator as one function for the workstation, in the dialect: `ash_machine` compiles it
and gives it plain addresses. It must do nothing that the kernel would not do.
"""

from exokernel.aegis import helpers
from exokernel.aegis.inspection import Inspection, Verdict, inspect
from exokernel.aegis.translation import Record, Translation, translate
from exokernel.metal import Ptr, Span, struct, u8, u64


@struct
class Workspace:
    verdict: Verdict
    inspection: Inspection
    translation: Translation


def load(program: u64, slots: u64, profile: u64, workspace: u64, space: u64, room: u64, record: u64) -> None:
    """Inspect a program; if it is accepted and there is `room` for it, translate it too and install the helpers."""
    helpers.install(Ptr[Record](record)[0])
    work = Ptr[Workspace](workspace)[0]
    instructions = Span[u64](Ptr[u64](program), slots)
    inspect(instructions, profile, work.inspection, work.verdict)
    if work.verdict.reason == 0 and room > 0:
        code = Span[u8](Ptr[u8](space), room)
        translate(instructions, work.inspection, work.verdict.loops != 0, code, work.translation)
