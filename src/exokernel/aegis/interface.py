# SPDX-License-Identifier: MIT
"""The kernel's interface as data: one entry for each call. From it docs/abi.md is written, the kernel's table checked
and the fuzzer fed.

Nothing here runs in the kernel. A call that is not described here must not exist.
"""

from dataclasses import dataclass

from exokernel.aegis.abi import Call


@dataclass(frozen=True)
class Argument:
    """One argument of a call. `unit` says what the number counts; `values` what kind of values a fuzzer should draw."""

    name: str
    unit: str
    values: str


@dataclass(frozen=True)
class Description:
    """One call: its errors besides BAD_ARGUMENT, what the caller needs, the bound on its work, its source."""

    call: Call
    arguments: tuple[Argument, ...]
    result: str
    errors: tuple[str, ...]
    rights: str
    bound: str
    source: str


PAGE = Argument("virtual_page", "address / 4096, below 0x40000", "page")
FRAME = Argument("frame", "physical address / 4096", "frame")
ENVIRONMENT = Argument("environment", "number", "environment")
ADDRESS = Argument("address", "user address", "address")
LINE = Argument("line", "of a device, 0 to 23", "word")
SLICE = Argument("position", "of a time slice, 0 to 63", "slice")

COUNT = Argument("count", "pages, 1 to 128", "count")
RIGHTS = Argument("rights", "Right bits, and a protection key in bits 4 to 7", "rights")
NAME = Argument("name", "kind from bit 56 on, number below", "word")
CAPABILITY_RIGHTS = Argument("rights", "Right bits, and the generation from bit 32 on", "word")
MAC = Argument("mac", "as minted", "word")
SLOT = Argument("slot", "of the binding page, 0 to 127", "word")
TRUTH = Argument("value", "0 or 1", "truth")

INTERFACE: tuple[Description, ...] = (
    Description(Call.NULL, (), "0", (), "none", "3 instructions in the kernel", "table 4"),
    Description(
        Call.CONSOLE_WRITE,
        (ADDRESS, Argument("length", "bytes, up to 4096", "length")),
        "bytes written",
        ("BAD_ADDRESS",),
        "none",
        "4096 bytes",
        "not in the paper: a device everybody shares",
    ),
    Description(
        Call.EXIT,
        (Argument("status", "number", "word"),),
        "does not return",
        (),
        "none",
        "the frames that it owns",
        "3.4",
    ),
    Description(
        Call.FRAME_CLAIM,
        (Argument("frame", "physical address / 4096, or ANY", "frame"),),
        "frame",
        ("NO_FRAMES", "BUSY"),
        "none",
        "one frame cleared",
        "table 2: Alloc",
    ),
    Description(
        Call.TLB_INSERT,
        (PAGE, FRAME, RIGHTS),
        "0",
        ("NO_NODE", "NOT_OWNER", "IN_USE"),
        "owner of the frame",
        "one entry",
        "table 3: TLBwr",
    ),
    Description(
        Call.TLB_NODE,
        (PAGE, FRAME),
        "0",
        ("NOT_OWNER", "IN_USE"),
        "owner of the frame",
        "one frame cleared",
        "5.4: page tables",
    ),
    Description(
        Call.YIELD_TO,
        (Argument("environment", "number, or ANY_ENVIRONMENT; its low 8 bits", "environment"),),
        "0 when the caller runs again",
        ("NOT_RUNNABLE",),
        "none",
        "one switch",
        "table 2: Yield",
    ),
    Description(
        Call.WAIT,
        (Argument("deadline", "timestamp, or FOREVER", "timestamp"),),
        "pending events; 0 when the deadline passed",
        ("BUSY",),
        "none",
        "one switch",
        "5.1.1",
    ),
    Description(
        Call.NETWORK_BIND,
        (Argument("ring", "user address of a ReceiveRing", "address"),),
        "0",
        ("NO_NETWORK", "BUSY", "BAD_ADDRESS", "NOT_OWNER"),
        "owner of the ring's frames",
        "the ring's pages",
        "3.2.1",
    ),
    Description(
        Call.NETWORK_TRANSMIT,
        (ADDRESS, Argument("length", "bytes, 14 to 1514", "length")),
        "0",
        ("NO_NETWORK", "BUSY", "BAD_ADDRESS", "QUEUE_FULL"),
        "who bound the network, or anybody while nobody has",
        "one frame copied",
        "3.2.1",
    ),
    Description(
        Call.SHUTDOWN,
        (Argument("status", "number", "word"),),
        "does not return",
        ("NOT_PERMITTED",),
        "environment 0",
        "constant",
        "not in the paper",
    ),
    Description(
        Call.SLICE_CLAIM,
        (Argument("position", "of a time slice, 0 to 63, or ANY", "slice"),),
        "position",
        ("BUSY", "NO_SLICES"),
        "none",
        "64 slices",
        "5.1.1",
    ),
    Description(Call.SLICE_RELEASE, (SLICE,), "0", ("NOT_OWNER",), "owner of the slice", "constant", "5.1.1"),
    Description(
        Call.SLICE_GIVE, (SLICE, ENVIRONMENT), "0", ("NOT_OWNER", "NOT_RUNNABLE"), "owner of the slice", "constant", "3"
    ),
    Description(
        Call.CAPABILITY_MINT,
        (NAME, CAPABILITY_RIGHTS),
        "MAC",
        ("NOT_OWNER", "STALE"),
        "owner of the resource",
        "one SipHash",
        "3.2: secure bindings",
    ),
    Description(
        Call.CAPABILITY_WEAKEN,
        (NAME, CAPABILITY_RIGHTS, MAC, Argument("fewer", "rights, and the same generation", "word")),
        "MAC",
        ("FORGED",),
        "the capability",
        "two SipHashes",
        "3.2: secure bindings",
    ),
    Description(
        Call.BIND,
        (SLOT, NAME, CAPABILITY_RIGHTS, MAC),
        "0",
        ("FORGED", "STALE", "IN_USE"),
        "the capability",
        "one SipHash",
        "3.2: secure bindings",
    ),
    Description(Call.UNBIND, (SLOT,), "0", (), "none", "one mapping ended", "3.2"),
    Description(
        Call.TLB_INSERT_BOUND,
        (PAGE, SLOT, RIGHTS),
        "0",
        ("NO_NODE", "NOT_PERMITTED", "IN_USE"),
        "the binding",
        "one entry",
        "table 3: TLBwr",
    ),
    Description(
        Call.FRAME_RELEASE,
        (FRAME,),
        "0",
        ("NOT_OWNER", "IN_USE"),
        "owner of the frame",
        "one mapping ended",
        "table 2: Dealloc",
    ),
    Description(
        Call.FRAME_BREAK,
        (FRAME,),
        "0, or 1 when more are left",
        ("NOT_OWNER",),
        "owner of the frame",
        "64 bindings ended",
        "3.4: breaking secure bindings",
    ),
    Description(
        Call.FRAME_PIN,
        (FRAME, TRUTH),
        "0",
        ("NOT_OWNER", "NO_ROOM"),
        "owner of the frame",
        "constant",
        "not in the paper: devices",
    ),
    Description(
        Call.FRAME_GUARANTEE,
        (FRAME, TRUTH),
        "0",
        ("NOT_OWNER", "NO_ROOM"),
        "owner of the frame",
        "constant",
        "3.5: a small number of guaranteed resources",
    ),
    Description(
        Call.FRAME_GIVE,
        (FRAME, ENVIRONMENT),
        "0",
        ("NOT_OWNER", "NO_ENVIRONMENT", "IN_USE"),
        "owner of the frame",
        "one mapping ended",
        "3.3",
    ),
    Description(
        Call.TLB_INSERT_BATCH,
        (PAGE, Argument("frames", "user address of frame numbers, 8 bytes each", "address"), COUNT, RIGHTS),
        "pages mapped",
        ("NO_NODE", "NOT_OWNER", "IN_USE", "BAD_ADDRESS"),
        "owner of the frames",
        "128 entries",
        "table 3: TLBwr",
    ),
    Description(
        Call.TLB_INSERT_LARGE,
        (PAGE, FRAME, RIGHTS),
        "0",
        ("NOT_OWNER", "IN_USE"),
        "owner of the frames",
        "512 frames",
        "table 3: TLBwr",
    ),
    Description(
        Call.TLB_PROTECT,
        (PAGE, COUNT, RIGHTS),
        "0",
        ("NOT_OWNER",),
        "owner of the frames, or bindings that allow it",
        "128 entries",
        "table 10: prot100",
    ),
    Description(Call.TLB_REMOVE, (PAGE, COUNT), "0", (), "none", "128 mappings", "table 3: TLBvadelete"),
    Description(
        Call.TLB_NODE_REMOVE,
        (PAGE,),
        "frame",
        ("NO_NODE", "IN_USE"),
        "owner of the node",
        "512 entries looked at, one frame cleared",
        "5.4: page tables",
    ),
    Description(
        Call.TRANSFER,
        (Argument("environment", "number; its low 8 bits", "environment"),),
        "in `transfer_return_entry`: the callee's number and its registers",
        ("NOT_RUNNABLE", "NO_ENTRY", "BUSY", "PARTNER_LOST"),
        "none: the callee learns who calls",
        "one switch",
        "5.5, table 2: Scall",
    ),
    Description(Call.TRANSFER_BACK, (), "does not return", ("NO_CALLER",), "to have been called", "one switch", "5.5"),
    Description(
        Call.TRANSFER_ASYNCHRONOUS,
        (ENVIRONMENT,),
        "0 when the caller runs again",
        ("NOT_RUNNABLE", "NO_ENTRY", "BUSY"),
        "none: the callee learns who calls",
        "one switch",
        "5.5, table 2: Acall",
    ),
    Description(
        Call.FLOATING_POINT,
        (Argument("wanted", "0 or 1", "word"),),
        "0",
        (),
        "none",
        "1024 bytes cleared",
        "table 3: FPUmod",
    ),
    Description(
        Call.EXCEPTION_RETURN, (), "does not return", (), "none", "14 instructions in the kernel", "not in the paper"
    ),
    Description(
        Call.LINE_BIND, (LINE,), "0", ("BUSY", "NOT_PERMITTED"), "environment 0", "constant", "5.1.2: interrupt context"
    ),
    Description(
        Call.LINE_UNMASK, (LINE,), "0", ("NOT_OWNER",), "owner of the line", "constant", "5.1.2: interrupt context"
    ),
    Description(
        Call.CONSOLE_READ,
        (),
        "byte",
        ("NO_INPUT", "BUSY"),
        "who bound the console's line, or anybody while nobody has",
        "constant",
        "not in the paper: a device everybody shares",
    ),
)
