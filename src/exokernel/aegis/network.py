# SPDX-License-Identifier: MIT
"""The network device: received frames go where filters lead them (`receiving`); `sending` is the other direction.

The device writes only to the kernel's own buffers, and is not trusted: its answers are checked, and nonsense is
counted. What cannot be delivered is counted in the system page.
"""

from exokernel.aegis import activation, capability, environment, handlers, information, processor, receiving, sending
from exokernel.aegis.abi import *
from exokernel.aegis.counters import TraceCounter, tally
from exokernel.aegis.filter import FILTERS
from exokernel.aegis.sending import BUFFER_BYTES, HEADER_BYTES, SHORTEST_FRAME
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import interrupts, virtio
from exokernel.machine.virtio import QUEUE_LENGTH, Queue, QueueState
from exokernel.metal import *

QUEUE = 0  # its number (5.1.2)
BUFFERS = 64

queue: Queue = aligned(4096, Queue())
state: QueueState = QueueState()
held: bool = False  # the device is not listened to
buffers: Array[Array[u8, BUFFER_BYTES], BUFFERS] = aligned(4096, Array[Array[u8, BUFFER_BYTES], BUFFERS]())


def initialize() -> None:
    """Starts the device, if there is one that we understand."""
    wanted: u64 = 1 << virtio.FEATURE_MAC | 1 << virtio.FEATURE_VERSION_1
    if not virtio.find_network() or not virtio.start_device(wanted):
        return
    if not virtio.set_up_queue(QUEUE, queue, state) or not sending.initialize():
        return
    for i in range(BUFFERS):
        descriptor = queue.descriptors[i]
        descriptor.address = virtio.physical(u64(addr(buffers[i])))
        descriptor.length = BUFFER_BYTES
        descriptor.flags = virtio.DEVICE_WRITES
        virtio.offer(queue, state, u16(i))
    for i in range(u64(len(information.page.mac))):
        information.page.mac[i] = virtio.read8(virtio.registers.configuration + i)
    virtio.finish_start()
    virtio.notify(QUEUE, state)
    information.page.network_present = 1


def interrupt(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The device's interrupt. Returns the root to load."""
    information.page.events.interrupts += 1
    virtio.acknowledge_interrupt()
    interrupts.end()
    if not held:
        receive()
    if sending.idle_pairs != sending.ALL:  # after the frames: nobody waits for it as for an answer
        sending.collect()
    if handlers.successor != environment.NOBODY:
        return hand_over()
    return processor.after_interrupt()


def hand_over() -> i64:
    """A handler wants an environment to run: it does if the time is the handler's owner's. Returns the root to load."""
    target = handlers.successor
    handlers.successor = environment.NOBODY
    owns = processor.owns(processor.position, handlers.successor_owner)
    idle = environment.current().identifier == environment.IDLE
    if not owns or idle or processor.borrower != environment.NOBODY or activation.runnable[target] == 0:
        return processor.after_interrupt()
    return processor.run(target)


def listen() -> None:
    """Ends a hold: takes what the device has received meanwhile."""
    global held
    held = False
    receiving.crowded = ENVIRONMENTS
    queue.available.flags = 0
    fence()
    receive()


def receive() -> None:
    """Delivers what the device has received, at most all buffers, and gives these back to it.

    Who receives must also get to run. When a ring is half full the device is held: its frames stay with it until somebody
    waits, or sends and has room, or until the next tick; if nobody else receives anything, that of a ring with room. Not
    while there are handlers, which have everything at once.
    """
    global held
    receivers: u64 = 0
    count = queue.used.index - state.next_used
    if count > BUFFERS:
        tally(TraceCounter.MALFORMED)
        state.next_used = queue.used.index
        return
    compiler_barrier()
    for i in range(count):
        used = queue.used.ring[(state.next_used + i) % QUEUE_LENGTH]
        number = u64(used.id)
        length = u64(used.length)
        if number >= BUFFERS:
            tally(TraceCounter.MALFORMED)
            continue
        if length < HEADER_BYTES + SHORTEST_FRAME or length > BUFFER_BYTES:
            tally(TraceCounter.MALFORMED)
        else:
            tally(TraceCounter.RECEIVED)
            owner = receiving.deliver(buffers[number][HEADER_BYTES:length], sending.send_copy)
            if owner != ENVIRONMENTS:
                tally(TraceCounter.DELIVERED)
                receivers |= u64(1) << owner % ENVIRONMENTS
        virtio.offer(queue, state, u16(number))
    if count > 0:
        state.next_used += count
        virtio.notify(QUEUE, state)
    if receivers != 0:
        announce(receivers, Event.NETWORK)
    if handlers.woken != 0:
        announce(handlers.woken, Event.HANDLER)
        handlers.woken = 0
    if receiving.crowded != ENVIRONMENTS and not processor.resting and handlers.loaded == 0:
        held = True
        queue.available.flags = virtio.NO_INTERRUPT
        processor.earliest = 0


def announce(receivers: u64, event: u64) -> None:
    """Tells environments, by their bits, of an event."""
    while receivers != 0:
        owner = count_trailing_zeros(receivers)
        receivers &= receivers - 1
        processor.post(owner, event)


def bind(ring: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `network_bind`."""
    caller = environment.current().identifier
    if not information.page.network_present:
        return Error.NO_NETWORK
    if receiving.is_shared(caller):
        return Error.BUSY
    error = receiving.ring_error(ring)
    if error != 0:
        return error
    receiving.release(caller, FILTERS)
    everything = Array[Atom, 1]()
    return min(receiving.bind(ring, everything[:0], caller), 0)


def filter_bind(ring: u64, atoms: u64, count: u64, slot: u64) -> i64:
    """The call `filter_bind`."""
    if not information.page.network_present:
        return Error.NO_NETWORK
    if count > FILTER_ATOMS or (slot >= BINDINGS and slot != ANY):
        return Error.BAD_ARGUMENT
    allowed = environment.current().identifier
    if slot != ANY:
        other = capability.bound(slot, Kind.FILTER)
        if other == capability.UNBOUND:
            return Error.NOT_PERMITTED
        allowed = u64(receiving.table.filters[other].owner)
    copy = Array[Atom, FILTER_ATOMS]()
    if not copy_in(Span[u8](Ptr[u8](u64(addr(copy))), count * sizeof(Atom)), UserAddress(atoms)):
        return Error.BAD_ADDRESS
    error = receiving.ring_error(ring)
    if error != 0:
        return error
    result = receiving.bind(ring, copy[:count], allowed)
    hurry()
    return result


def filter_remove(number: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `filter_remove`."""
    result = receiving.remove(number, environment.current().identifier)
    hurry()
    return result


def capture_bind(ring: u64, slot: u64, third: u64, fourth: u64) -> i64:
    """The call `capture_bind`."""
    if not information.page.network_present:
        return Error.NO_NETWORK
    caller = environment.current().identifier
    if slot == ANY:
        receiving.stop_capture(caller)
        return 0
    if slot >= BINDINGS:
        return Error.BAD_ARGUMENT
    rights = capability.rights_of(slot, Kind.CAPTURE)
    if rights & (Right.READ | Right.WRITE) == 0:
        return Error.NOT_PERMITTED
    error = receiving.ring_error(ring)
    return error if error != 0 else receiving.bind_capture(ring, rights)


def hurry() -> None:
    """Has the next tick look at what is not finished."""
    if receiving.unwritten or held:
        processor.earliest = 0


def attend(now: u64) -> None:
    """At a tick: goes on with what no call waits for."""
    if held and (receiving.is_shared(receiving.crowded) or receiving.has_room(receiving.crowded)):
        listen()
    if sending.idle_pairs != sending.ALL:
        sending.collect()
    if receiving.unwritten:
        receiving.write()
    if sending.idle_pairs != sending.ALL:
        processor.earliest = min(processor.earliest, now + information.page.timestamp_frequency // 100)
    hurry()
