# SPDX-License-Identifier: MIT
"""The kernel's interface as data: one row for each call. From it docs/abi.md is written, the kernel's table checked and
the fuzzer fed.

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


# Name: unit, kind of values. What follows a colon only tells two of the same name apart.
ARGUMENTS = {
    "address": ("user address", "address"),
    "address:ip": ("address of the first instruction", "instruction"),
    "address:sp": ("value of `rsp`", "address"),
    "count": ("pages, 1 to 128", "count"),
    "atoms": ("user address of Atoms", "address"),
    "count:atoms": ("atoms, up to 16", "count"),
    "count:slots": ("SendSlots, up to 16", "count"),
    "count:wanted": ("frames or slices", "count"),
    "deadline": ("timestamp, or FOREVER", "timestamp"),
    "environment": ("number", "environment"),
    "environment:new": ("number of the new environment, or ANY", "new"),
    "environment:any": ("number, or ANY_ENVIRONMENT; its low 8 bits", "environment"),
    "environment:byte": ("number; its low 8 bits", "environment"),
    "count:kind": ("`HandlerCount`", "word"),
    "filter": ("a packet filter's number, and its generation from bit 32 on", "filter"),
    "handler": ("number, and generation from bit 32 on", "handler"),
    "handler:any": ("number, and generation from bit 32 on, or ANY", "handler"),
    "request": ("user address of a HandlerRequest", "request"),
    "fewer": ("rights, and the same generation", "fewer"),
    "frame": ("physical address / 4096", "frame"),
    "frame:any": ("physical address / 4096, or ANY", "frame"),
    "frames": ("user address of frame numbers, 8 bytes each", "address"),
    "frames:parts": ("user address of 8 frame numbers, 8 bytes each", "parts"),
    "how": ("the most that is allowed (Right bits), and from bit 8 on its first binding slot", "how"),
    "length:console": ("bytes, up to 4096", "length"),
    "length:frame": ("bytes, 14 to 1514", "length"),
    "line": ("of a device, 0 to 23", "word"),
    "mac": ("as minted", "mac"),
    "name": ("kind from bit 56 on, number below", "name"),
    "position": ("of a time slice, 0 to 63", "slice"),
    "position:any": ("of a time slice, 0 to 63, or ANY", "slice"),
    "rights": ("Right bits, and a protection key in bits 4 to 7", "rights"),
    "rights:capability": ("Right bits, and the generation from bit 32 on", "capability"),
    "ring": ("user address of a ReceiveRing", "address"),
    "slot": ("of the binding page, 0 to 127", "slot"),
    "slot:filter": ("of a binding to a filter, or ANY", "slot"),
    "slot:capture": ("of a binding to capture, or ANY", "slot"),
    "slots": ("user address of SendSlots, a multiple of 2048", "address"),
    "status": ("number", "word"),
    "value": ("0 or 1", "truth"),
    "virtual_page": ("address / 4096, below 0x3F800", "page"),
    "wanted": ("0 or 1", "truth"),
}

# Call | arguments | result | errors besides BAD_ARGUMENT | what the caller needs | bound on the work | source
CALLS = """
null | | 0 | | none | 3 instructions in the kernel | table 4
console_write | address length:console | bytes written | BAD_ADDRESS | none | 4096 bytes |
    not in the paper: a device everybody shares
console_read | | byte | NO_INPUT BUSY | who bound the console's line, or anybody while nobody has | constant |
    not in the paper: a device everybody shares
exit | status | does not return | | none | 64 slices and lines, 64 frames, bindings or packet filters |
    3.4: the rest goes back at ticks and claims
shutdown | status | does not return | NOT_PERMITTED | environment 0 | constant | not in the paper

frame_claim | frame:any | frame | NO_FRAMES BUSY NO_ROOM | none | one frame cleared | table 2: Alloc
frame_claim_table | frame:any | frame | NO_FRAMES BUSY NO_ROOM | none | constant | table 2: Alloc
frame_claim_copy | virtual_page | frame | BAD_ADDRESS NO_FRAMES NO_ROOM | what is mapped there | one frame copied |
    not in the paper: copy on write
frame_release | frame | 0 | NOT_OWNER IN_USE | owner of the frame | one mapping ended | table 2: Dealloc
frame_break | frame | 0, or 1 when more are left | NOT_OWNER | owner of the frame | 64 bindings ended |
    3.4: breaking secure bindings
frame_pin | frame value | 0 | NOT_OWNER NO_ROOM | owner of the frame | constant | not in the paper: devices
frame_guarantee | frame value | 0 | NOT_OWNER NO_ROOM | owner of the frame | constant |
    3.5: a small number of guaranteed resources
frame_give | frame environment | 0 | NOT_OWNER NO_ENVIRONMENT IN_USE NO_ROOM | owner of the frame | one mapping ended | 3.3

tlb_insert | virtual_page frame rights | 0 | NO_NODE NOT_OWNER IN_USE |
    owner of the frame, or not to write and it is public | one entry | table 3: TLBwr
tlb_insert_bound | virtual_page slot rights | 0 | NO_NODE NOT_PERMITTED IN_USE | the binding | one entry | table 3: TLBwr
tlb_insert_batch | virtual_page frames count rights | pages mapped | NO_NODE NOT_OWNER IN_USE BAD_ADDRESS |
    for each frame what `tlb_insert` needs | 128 entries | table 3: TLBwr
tlb_insert_large | virtual_page frame rights | 0 | NOT_OWNER IN_USE | owner of the frames | 512 frames | table 3: TLBwr
tlb_protect | virtual_page count rights | 0 | NOT_OWNER | owner of the frames, or bindings that allow it | 128 entries |
    table 10: prot100
tlb_remove | virtual_page count | 0 | | none | 128 mappings | table 3: TLBvadelete
tlb_node | virtual_page frame | 0 | NOT_OWNER IN_USE | owner of the frame | one frame cleared | 5.4: page tables
tlb_node_remove | virtual_page | frame | NO_NODE IN_USE | owner of the node | 512 entries looked at, one frame cleared |
    5.4: page tables

capability_mint | name rights:capability | MAC | NOT_OWNER STALE | owner of the resource | one SipHash |
    3.2: secure bindings
capability_weaken | name rights:capability mac fewer | MAC | FORGED | the capability | two SipHashes |
    3.2: secure bindings
bind | slot name rights:capability mac | 0 | FORGED STALE IN_USE | the capability | one SipHash | 3.2: secure bindings
unbind | slot | 0 | | none | one mapping ended | 3.2

slice_claim | position:any | position | BUSY NO_SLICES | none | 64 slices | 5.1.1
slice_release | position | 0 | NOT_OWNER | owner of the slice | constant | 5.1.1
slice_give | position environment | 0 | NOT_OWNER NOT_RUNNABLE | owner of the slice | constant | 3
slice_take | slot | 0 | NOT_PERMITTED | the binding | constant | 3.2: secure bindings
yield_to | environment:any | 0 when the caller runs again | NOT_RUNNABLE | none | one switch | table 2: Yield
wait | deadline | pending events; 0 when the deadline passed | BUSY | none | one switch | 5.1.1
floating_point | wanted | 0 | | none | 1024 bytes cleared | table 3: FPUmod
protection_keys | wanted | 0 | NO_KEYS | none | constant | table 3: primitive operations
exception_return | | does not return | | none | 14 instructions in the kernel | not in the paper

transfer | environment:byte | in `transfer_return_entry`: the callee's number and its registers |
    NOT_RUNNABLE NO_ENTRY BUSY PARTNER_LOST | none: the callee learns who calls | one switch | 5.5, table 2: Scall
transfer_back | | does not return | NO_CALLER | to have been called | one switch | 5.5
transfer_asynchronous | environment | 0 when the caller runs again | NOT_RUNNABLE NO_ENTRY BUSY |
    none: the callee learns who calls | one switch | 5.5, table 2: Acall

environment_create | slot environment:new frames:parts | number | NO_ROOM BUSY IN_USE BAD_ADDRESS NOT_OWNER |
    owner of the frames | 8 frames, 5 of them cleared | 5.1.2
environment_give | slot virtual_page frame rights | 0 | NOT_PERMITTED NO_NODE NOT_OWNER IN_USE NO_ROOM |
    the binding, and what `tlb_insert` needs | one entry | 3.2: secure bindings
environment_node | slot virtual_page frame | 0 | NOT_PERMITTED NOT_OWNER IN_USE | the binding, owner of the frame |
    one frame cleared | 5.4: page tables
environment_share | slot virtual_page count how | pages looked at | NOT_PERMITTED NO_NODE IN_USE NO_ROOM |
    the binding | 128 entries | 3.2: secure bindings
environment_start | slot address:ip address:sp | 0 | NOT_PERMITTED BUSY | the binding | constant | 5.1.2
environment_end | slot status | 0 | NOT_PERMITTED | the binding |
    64 slices and lines, 64 frames, bindings or packet filters | 3.4
revoke | slot environment count:wanted deadline | 0 | NOT_PERMITTED NO_ENVIRONMENT BUSY | the authority | constant |
    3.3: visible revocation

line_bind | slot | 0 | BUSY NOT_PERMITTED | the binding | constant | 5.1.2: interrupt context
line_unmask | line | 0 | NOT_OWNER | owner of the line | constant | 5.1.2: interrupt context

network_bind | ring | 0 | NO_NETWORK BUSY BAD_ADDRESS NOT_OWNER | owner of the ring's frames | the ring's pages | 3.2.1
network_transmit | address length:frame | 0 | NO_NETWORK BUSY BAD_ADDRESS QUEUE_FULL |
    who receives frames, or anybody while nobody does | one frame copied | 3.2.1
network_send | slots count:slots | slots taken | NO_NETWORK BUSY BAD_ADDRESS NOT_OWNER QUEUE_FULL |
    as `network_transmit`, owner of the pages | 16 frames | 3.2.1
filter_bind | ring atoms count:atoms slot:filter | number, and its generation from bit 32 on |
    NO_NETWORK IN_USE NO_ROOM NOT_PERMITTED BAD_ADDRESS NOT_OWNER | owner of the ring's frames |
    512 filters compared, a piece of the code written | 5.6
filter_remove | filter | 0 | NOT_OWNER | owner of the filter | 512 filters moved, a piece of the code written | 5.6
capture_bind | ring slot:capture | 0 | NO_NETWORK BUSY NO_ROOM NOT_PERMITTED BAD_ADDRESS NOT_OWNER |
    the capability, owner of the ring's frames | the ring's pages | not in the paper: looking at the wire

handler_load | request | number, and its generation from bit 32 on | REFUSED NO_ROOM NOT_OWNER BAD_ADDRESS |
    owner of the frames | 56 frames, 1,024 instructions copied | 5.5.2, table 9: ASH
handler_continue | handler | 0, or 1: there is more to do | REFUSED NOT_OWNER | owner of the handler |
    a piece of inspection or translation | 5.5.2, table 9: ASH
handler_attach | filter handler:any | 0 | NOT_OWNER | owner of both | constant | table 9: ASH
handler_allow | handler slot | 0 | NOT_OWNER NOT_PERMITTED | owner of the handler, and the binding | constant |
    3.2: secure bindings
handler_count | handler count:kind | count | NOT_OWNER | owner of the handler | constant | not in the paper
handler_remove | handler | 0 | NOT_OWNER | owner of the handler | 512 filters, 512 pages looked at; a table copied | table 9: ASH
"""


def _read(row: str) -> Description:
    call, arguments, result, errors, rights, bound, source = (cell.strip() for cell in row.split("|"))
    described = tuple(Argument(name.split(":")[0], *ARGUMENTS[name]) for name in arguments.split())
    return Description(Call[call.upper()], described, result, tuple(errors.split()), rights, bound, source)


INTERFACE = tuple(_read(row) for row in CALLS.replace("\n    ", " ").split("\n") if row)
