# SPDX-License-Identifier: MIT
"""What each call costs, in instructions from the call site back to it: run it under `-icount shift=0`, where the
time-stamp counter counts them. An application for exokernel.host.interface_document, which puts the numbers into docs/abi.md.

Every line printed is `call instructions`, for a call that does what it is for: the smallest of ROUNDS, so that neither
a tick nor a first touch is in it. Calls that do not come back have no number.
"""

from typing import Final

from exokernel.aegis import abi
from exokernel.aegis.abi import Atom, Call, Kind, Right
from exokernel.aegis.handler_abi import HandlerRequest
from exokernel.exos import aegis, ash
from exokernel.exos.net import packets
from exokernel.metal import Array, Ptr, Span, addr, aligned, asm, i64, naked, noinline, u8, u32, u64

ROUNDS = 20
SANDBOX = 0x10000000 // abi.PAGE_BYTES  # this page and the 512 behind it are nobody's yet
page: Array[u8, 4096] = aligned(4096, Array[u8, 4096](b"\n" * 4096))


@naked
def cost_of(number: u64, first: u64, second: u64, third: u64, fourth: u64) -> u64:
    """Instructions of one call, those that load its arguments not counted. Everything that a call may destroy is saved."""
    asm("""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        push rdi
        mov rdi, rsi
        mov rsi, rdx
        mov r9, rcx
        rdtsc
        shl rdx, 32
        or rax, rdx
        xchg rax, qword ptr [rsp]
        mov rdx, r9
        syscall
        mov r9, rax
        rdtsc
        shl rdx, 32
        or rax, rdx
        pop rdx
        sub rax, rdx
        mov rdx, r9
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        mov qword ptr [{answer}], rdx
        ret
    """)


GLUE = 6  # instructions counted besides the call: shl, or, xchg, mov before it, mov and rdtsc after it
answer: i64 = 0
last_frame: u64 = 0


@noinline
def measure(name: str, number: u64, first: u64, second: u64, third: u64) -> None:
    """Prints the least cost of a call that succeeds each time with the same arguments."""
    least: u64 = 0xFFFFFFFFFFFFFFFF
    for _ in range(ROUNDS):
        least = min(least, cost_of(number, first, second, third, 0))
        if answer < 0:
            print(name, "answered", answer)
            return
    print(name, least - GLUE)


def claim() -> u64:
    """A frame of our own."""
    return u64(aegis.frame_claim(abi.ANY))


def nodes() -> None:
    """`tlb_node` takes another frame and another place each time."""
    least: u64 = 0xFFFFFFFFFFFFFFFF
    for i in range(ROUNDS):
        least = min(least, cost_of(Call.TLB_NODE, SANDBOX + 512 * (i + 1), claim(), 0, 0))
        if answer < 0:
            print("tlb_node answered", answer)
            return
    print("tlb_node", least - GLUE)


def slices() -> None:
    """A claim of one position, its release, and a gift to ourselves, in turn."""
    claimed: u64 = 0xFFFFFFFFFFFFFFFF
    given: u64 = 0xFFFFFFFFFFFFFFFF
    released: u64 = 0xFFFFFFFFFFFFFFFF
    for _ in range(ROUNDS):
        claimed = min(claimed, cost_of(Call.SLICE_CLAIM, abi.SLICES - 1, 0, 0, 0))
        given = min(given, cost_of(Call.SLICE_GIVE, abi.SLICES - 1, aegis.environment_page().identifier, 0, 0))
        released = min(released, cost_of(Call.SLICE_RELEASE, abi.SLICES - 1, 0, 0, 0))
        if answer < 0:
            print("slice_release answered", answer)
            return
    print("slice_claim", claimed - GLUE)
    print("slice_give", given - GLUE)
    print("slice_release", released - GLUE)


ring: abi.ReceiveRing = abi.ReceiveRing()
slots: Array[abi.SendSlot, 1] = aligned(4096, Array[abi.SendSlot, 1]())
ATOMS: Final[Array[Atom, packets.ATOMS]] = packets.atoms(packets.udp.destination == 7)
COUNT = len(packets.listed(packets.udp.destination == 7))
least: Array[u64, 256] = Array[u64, 256]([0xFFFFFFFFFFFFFFFF] * 256)
parts: Array[u64, abi.ENVIRONMENT_FRAMES] = Array[u64, abi.ENVIRONMENT_FRAMES]()
batch: Array[u64, abi.BATCH] = Array[u64, abi.BATCH]()


def make(number: u64, first: u64, second: u64, third: u64, fourth: u64) -> u64:
    """One call of a life-cycle, which must succeed: its result. Its least cost is noted."""
    spent = cost_of(number, first, second, third, fourth)
    assert answer >= 0, "a call was refused"
    least[number] = min(least[number], spent)
    return u64(answer)


def capabilities(frame: u64) -> None:
    """Minted, weakened, bound, mapped and ended."""
    name = u64(Kind.FRAME) << abi.NAME_INDEX_BITS | frame
    rights = u64(aegis.frame_entry(frame).generation) << 32 | Right.WRITE | Right.EXECUTE
    weak = rights - Right.EXECUTE
    mac = make(Call.CAPABILITY_MINT, name, rights, 0, 0)
    make(Call.BIND, 5, name, weak, make(Call.CAPABILITY_WEAKEN, name, rights, mac, weak))
    aegis.tlb_insert_bound(SANDBOX + 2, 5, Right.WRITE)
    make(Call.UNBIND, 5, 0, 0, 0)


def memory() -> None:
    """Frames and nodes, from their claim to their end. ENVIRONMENT: ours."""
    own = aegis.environment_page().identifier
    make(Call.FRAME_RELEASE, make(Call.FRAME_CLAIM_TABLE, abi.ANY, 0, 0, 0), 0, 0, 0)
    make(Call.FRAME_RELEASE, make(Call.FRAME_GIVE, claim_mapped(), own, 0, 0) + given, 0, 0, 0)
    aegis.tlb_node(SANDBOX + 512 * 100, claim())
    aegis.frame_release(make(Call.TLB_NODE_REMOVE, SANDBOX + 512 * 100, 0, 0, 0))
    aegis.tlb_remove(SANDBOX + 128, abi.BATCH)
    make(Call.TLB_INSERT_BATCH, SANDBOX + 128, u64(addr(batch[0])), abi.BATCH, Right.READ)
    aegis.frame_release(make(Call.FRAME_CLAIM_COPY, SANDBOX + 128, 0, 0, 0))
    make(Call.TLB_INSERT_LARGE, SANDBOX + 512 * 101, large, Right.READ, 0)
    aegis.tlb_remove(SANDBOX + 512 * 101, 1)


given: u64 = 0
large: u64 = 0


def claim_mapped() -> u64:
    """A frame of ours that is mapped, as those that are given away usually are."""
    global given
    given = claim()
    aegis.tlb_insert(SANDBOX + 3, given, Right.WRITE)
    return given


def claim_large() -> None:
    """LARGE_PAGES frames side by side."""
    global large
    large = abi.LARGE_PAGES * 10
    for i in range(abi.LARGE_PAGES):
        aegis.frame_claim(large + i)


def environments() -> None:
    """One, with a page of code and one that it shares, never started, and one that is started."""
    for i in range(u64(len(parts))):
        parts[i] = u64(aegis.frame_claim(abi.ANY) if i == 5 else aegis.frame_claim_table(abi.ANY))
    child = make(Call.ENVIRONMENT_CREATE, 7, abi.ANY, u64(addr(parts[0])), 0)
    node = u64(aegis.frame_claim_table(abi.ANY))
    make(Call.ENVIRONMENT_NODE, 7, SANDBOX, node, 0)
    make(Call.ENVIRONMENT_GIVE, 7, SANDBOX, claim(), Right.READ)
    make(Call.ENVIRONMENT_SHARE, 7, SANDBOX + 128, abi.BATCH, Right.READ)
    aegis.slice_claim(60)
    name = u64(Kind.SLICE) << abi.NAME_INDEX_BITS | 60
    rights = u64(aegis.system_page().slice_generations[60]) << 32 | Right.WRITE
    aegis.bind(6, name, rights, u64(aegis.capability_mint(name, rights)))
    make(Call.SLICE_TAKE, 6, 0, 0, 0)
    aegis.slice_release(60)
    make(Call.REVOKE, 9, child, 1, 0xFFFFFFFFFFFFFFF0)
    make(Call.ENVIRONMENT_START, 7, abi.IMAGE_ADDRESS, 0, 0)
    make(Call.ENVIRONMENT_END, 7, 0, 0, 0)
    for _ in range(20):
        aegis.frame_release(u64(aegis.frame_claim(abi.ANY)))  # each gives some of its frames back


def network() -> None:
    """Rings, filters, and a frame that the device reads where it lies."""
    make(Call.NETWORK_BIND, u64(addr(ring)), 0, 0, 0)
    make(Call.FILTER_REMOVE, make(Call.FILTER_BIND, u64(addr(ring)), u64(addr(ATOMS[0])), COUNT, abi.ANY), 0, 0, 0)
    slots[0].length = 64
    make(Call.NETWORK_SEND, u64(addr(slots[0])), 1, 0, 0)
    while slots[0].busy != 0:
        aegis.network_send(u64(addr(slots[0])), 0)
    make(Call.CAPTURE_BIND, u64(addr(ring)), 10, 0, 0)
    aegis.capture_bind(u64(addr(ring)), abi.ANY)


def drop(context: ash.Context) -> u32:
    return ash.Action.DROP


DROPS: Final[ash.Program] = ash.program(drop)
request: HandlerRequest = HandlerRequest()


def handler() -> None:
    """The shortest: loaded with the frames of one that was not, in one piece each for inspecting and translating it."""
    aegis.network_bind(ring)
    filter = u64(aegis.filter_bind(u64(addr(ring)), u64(addr(ATOMS[0])), COUNT, abi.ANY))
    ash.handler_remove(u64(ash.begin(DROPS, Span[u8](Ptr[u8](0), 0), request)))
    name = make(Call.HANDLER_LOAD, u64(addr(request)), 0, 0, 0)
    while make(Call.HANDLER_CONTINUE, name, 0, 0, 0) == 1:
        pass
    make(Call.HANDLER_ATTACH, filter, name, 0, 0)
    make(Call.HANDLER_COUNT, name, 0, 0, 0)
    make(Call.HANDLER_REMOVE, name, 0, 0, 0)
    ash.release_spare(request)


def bind_first(slot: u64, kind: u64, index: u64) -> None:
    """Binds something of environment 0's, which we are."""
    name = kind << abi.NAME_INDEX_BITS | index
    aegis.bind(slot, name, Right.WRITE, u64(aegis.capability_mint(name, Right.WRITE)))


def report(name: str, number: u64) -> None:
    print(name, least[number] - GLUE)


def life_cycles() -> None:
    for i in range(abi.BATCH):
        batch[i] = claim()
    claim_large()
    bind_first(9, Kind.AUTHORITY, 0)
    bind_first(8, Kind.LINE, abi.CONSOLE_LINE)
    bind_first(10, Kind.CAPTURE, 0)
    spare = claim()
    for _ in range(ROUNDS):
        capabilities(spare)
        memory()
        environments()
        network()
        handler()
        make(Call.PROTECTION_KEYS, 0, 0, 0, 0)
        make(Call.LINE_BIND, 8, 0, 0, 0)
        make(Call.LINE_UNMASK, abi.CONSOLE_LINE, 0, 0, 0)
    report("capability_mint", Call.CAPABILITY_MINT)
    report("capability_weaken", Call.CAPABILITY_WEAKEN)
    report("bind", Call.BIND)
    report("unbind", Call.UNBIND)
    report("frame_claim_table", Call.FRAME_CLAIM_TABLE)
    report("frame_claim_copy", Call.FRAME_CLAIM_COPY)
    report("frame_release", Call.FRAME_RELEASE)
    report("frame_give", Call.FRAME_GIVE)
    report("tlb_node_remove", Call.TLB_NODE_REMOVE)
    report("tlb_insert_batch", Call.TLB_INSERT_BATCH)
    report("tlb_insert_large", Call.TLB_INSERT_LARGE)
    report("slice_take", Call.SLICE_TAKE)
    report("environment_create", Call.ENVIRONMENT_CREATE)
    report("environment_node", Call.ENVIRONMENT_NODE)
    report("environment_give", Call.ENVIRONMENT_GIVE)
    report("environment_share", Call.ENVIRONMENT_SHARE)
    report("environment_start", Call.ENVIRONMENT_START)
    report("environment_end", Call.ENVIRONMENT_END)
    report("revoke", Call.REVOKE)
    report("network_bind", Call.NETWORK_BIND)
    report("network_send", Call.NETWORK_SEND)
    report("filter_bind", Call.FILTER_BIND)
    report("filter_remove", Call.FILTER_REMOVE)
    report("capture_bind", Call.CAPTURE_BIND)
    report("handler_load", Call.HANDLER_LOAD)
    report("handler_continue", Call.HANDLER_CONTINUE)
    report("handler_attach", Call.HANDLER_ATTACH)
    report("handler_count", Call.HANDLER_COUNT)
    report("handler_remove", Call.HANDLER_REMOVE)
    report("protection_keys", Call.PROTECTION_KEYS)
    report("line_bind", Call.LINE_BIND)
    report("line_unmask", Call.LINE_UNMASK)


def main() -> None:
    measure("console_write", Call.CONSOLE_WRITE, u64(addr(page)), 1, 0)
    measure("frame_claim", Call.FRAME_CLAIM, abi.ANY, 0, 0)
    aegis.tlb_node(SANDBOX, claim())
    measure("tlb_insert", Call.TLB_INSERT, SANDBOX, claim(), Right.READ)
    measure("tlb_remove", Call.TLB_REMOVE, SANDBOX, 1, 0)
    spare = claim()
    measure("frame_break", Call.FRAME_BREAK, spare, 0, 0)
    measure("frame_pin", Call.FRAME_PIN, spare, 1, 0)
    measure("frame_guarantee", Call.FRAME_GUARANTEE, spare, 1, 0)
    nodes()
    slices()
    measure("floating_point", Call.FLOATING_POINT, 1, 0, 0)
    measure("wait", Call.WAIT, 0, 0, 0)
    if aegis.system_page().network_present != 0:
        measure("network_transmit", Call.NETWORK_TRANSMIT, u64(addr(page)), 64, 0)
    life_cycles()
