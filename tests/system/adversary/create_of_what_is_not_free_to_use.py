# SPDX-License-Identifier: MIT
"""Makes environments in which one of the eight frames is another's, free, public, the kernel's, a node, none at all, one of
the others, mapped, bound, pinned or guaranteed.
"""

from family import PAGE_PART, SANDBOX, bind_frame, claim, claim_mapped, claim_table, parts, prepare_sandbox

from exokernel.aegis import abi
from exokernel.aegis.abi import Error, FrameKind, Right
from exokernel.exos import aegis
from exokernel.metal import u64


def attempt(which: u64, frame: u64) -> u64:
    """Whether it was not refused."""
    for i in range(u64(len(parts))):
        parts[i] = claim() if i == PAGE_PART else claim_table()
    own = parts[which]
    parts[which] = frame
    answer = aegis.environment_create(0, abi.ANY, parts)
    if answer >= 0:
        aegis.environment_end(0, 0)
        return 1
    parts[which] = own
    for part in parts:
        aegis.frame_release(part)
    return u64(answer != Error.NOT_OWNER)


def first_of(owner: u64, kind: u64) -> u64:
    for frame in range(aegis.system_page().frames):
        entry = aegis.frame_entry(frame)
        if entry.owner == owner and entry.kind == kind:
            return frame
    return 0


def main() -> u64:
    prepare_sandbox()
    own = aegis.environment_page().identifier
    bound = claim()
    pinned = claim()
    guaranteed = claim()
    bind_frame(1, bound, Right.READ)
    aegis.frame_pin(pinned, 1)
    aegis.frame_guarantee(guaranteed, 1)
    mapped = claim_mapped(SANDBOX)
    got: u64 = 0
    for which in range(u64(len(parts))):
        got += attempt(which, first_of(0, FrameKind.DATA)) + attempt(which, first_of(0, FrameKind.NODE))
        got += attempt(which, first_of(own, FrameKind.NODE)) + attempt(which, aegis.system_page().bundle_frame)
        got += attempt(which, 0) + attempt(which, abi.ANY) + attempt(which, aegis.system_page().frames + 100)
        got += attempt(which, u64(1) << 52) + attempt(which, parts[(which + 1) % abi.ENVIRONMENT_FRAMES])
        got += attempt(which, bound) + attempt(which, pinned) + attempt(which, guaranteed)
        if which != PAGE_PART:
            got += attempt(which, mapped) + u64(not aegis.table_entry(SANDBOX).present)
    return got
