# SPDX-License-Identifier: MIT
"""The network device: received frames go where filters lead them (`receiving`), frames to be sent are copied out of an
environment's memory.

The device only ever sees the kernel's own buffers, and is not trusted: its answers are checked, and nonsense is
counted. What cannot be delivered is counted in the system page.
"""

from exokernel.aegis import capability, environment, handlers, information, processor, receiving
from exokernel.aegis.abi import *
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import interrupts, virtio
from exokernel.machine.virtio import QUEUE_LENGTH, Queue, QueueState
from exokernel.metal import *

HEADER_BYTES = 12  # virtio_net_hdr (5.1.6), all zero: no offloads
BUFFER_BYTES = 2048
SHORTEST_FRAME = 14
RECEIVE = 0  # queue numbers (5.1.2)
TRANSMIT = 1

receive_queue: Queue = aligned(4096, Queue())
transmit_queue: Queue = aligned(4096, Queue())
receive_state: QueueState = QueueState()
transmit_state: QueueState = QueueState()
receive_buffers: Array[Array[u8, BUFFER_BYTES], QUEUE_LENGTH] = aligned(
    4096, Array[Array[u8, BUFFER_BYTES], QUEUE_LENGTH]()
)
transmit_buffers: Array[Array[u8, BUFFER_BYTES], QUEUE_LENGTH] = aligned(
    4096, Array[Array[u8, BUFFER_BYTES], QUEUE_LENGTH]()
)
idle_buffers: u64 = 0xFFFFFFFFFFFFFFFF  # bit n: transmit buffer n is not with the device


def initialize() -> None:
    """Starts the device, if there is one that we understand."""
    wanted: u64 = 1 << virtio.FEATURE_MAC | 1 << virtio.FEATURE_VERSION_1
    if not virtio.find_network() or not virtio.start_device(wanted):
        return
    for i in range(QUEUE_LENGTH):
        receiving = receive_queue.descriptors[i]
        receiving.address = virtio.physical(u64(addr(receive_buffers[i])))
        receiving.length = BUFFER_BYTES
        receiving.flags = virtio.DEVICE_WRITES
        transmit_queue.descriptors[i].address = virtio.physical(u64(addr(transmit_buffers[i])))
    transmit_queue.available.flags = virtio.NO_INTERRUPT
    if not virtio.set_up_queue(RECEIVE, receive_queue, receive_state):
        return
    if not virtio.set_up_queue(TRANSMIT, transmit_queue, transmit_state):
        return
    for i in range(QUEUE_LENGTH):
        virtio.offer(receive_queue, receive_state, u16(i))
    for i in range(u64(len(information.page.mac))):
        information.page.mac[i] = virtio.read8(virtio.registers.configuration + i)
    virtio.finish_start()
    virtio.notify(RECEIVE, receive_state)
    information.page.network_present = 1


def interrupt(first: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The device's interrupt. Returns the root to load."""
    information.page.events.interrupts += 1
    virtio.acknowledge_interrupt()
    interrupts.end()
    receive()
    return processor.after_interrupt()


def receive() -> None:
    """Delivers what the device has received, at most one queue's length, and gives the buffers back to it."""
    statistics = information.page.network
    receivers: u64 = 0
    count = receive_queue.used.index - receive_state.next_used
    if count > QUEUE_LENGTH:
        statistics.malformed += 1
        receive_state.next_used = receive_queue.used.index
        return
    compiler_barrier()
    for _ in range(count):
        used = receive_queue.used.ring[receive_state.next_used % QUEUE_LENGTH]
        receive_state.next_used += 1
        number = u64(used.id)
        length = u64(used.length)
        if number >= QUEUE_LENGTH:
            statistics.malformed += 1
            continue
        if length < HEADER_BYTES + SHORTEST_FRAME or length > BUFFER_BYTES:
            statistics.malformed += 1
        else:
            statistics.received += 1
            owner = receiving.deliver(receive_buffers[number][HEADER_BYTES:length], send)
            if owner != ENVIRONMENTS:
                statistics.delivered += 1
                receivers |= u64(1) << owner
        virtio.offer(receive_queue, receive_state, u16(number))
    if count > 0:
        virtio.notify(RECEIVE, receive_state)
    if receivers != 0:
        announce(receivers, Event.NETWORK)
    if handlers.woken != 0:
        announce(handlers.woken, Event.HANDLER)
        handlers.woken = 0


def announce(receivers: u64, event: u64) -> None:
    """Tells environments, by their bits, of an event."""
    while receivers != 0:
        owner = count_trailing_zeros(receivers)
        receivers &= receivers - 1
        page = environment.records[owner].page[0]
        page.pending |= event
        processor.wake(owner)


def send(source: u64, length: u64) -> bool:
    """Sends a frame out of the kernel's memory; False, and counted, if the device has no room."""
    global idle_buffers
    if idle_buffers == 0:
        collect_sent()
    if idle_buffers == 0:
        information.page.network.queue_full += 1
        return False
    number = count_trailing_zeros(idle_buffers)
    handlers.copy_words(u64(addr(transmit_buffers[number])) + HEADER_BYTES, source, length)
    give_to_device(number, length)
    return True


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
    receiving.release(caller)
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
    return receiving.bind(ring, copy[:count], allowed)


def filter_remove(number: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `filter_remove`."""
    return receiving.remove(number, environment.current().identifier)


def transmit(address: u64, length: u64, third: u64, fourth: u64) -> i64:
    """The call `network_transmit`."""
    global idle_buffers
    statistics = information.page.network
    if not information.page.network_present:
        return Error.NO_NETWORK
    if receiving.table.count != 0 and not receiving.receives(environment.current().identifier):
        return Error.BUSY
    if length < SHORTEST_FRAME or length > TRANSMIT_LIMIT:
        return Error.BAD_ARGUMENT
    collect_sent()
    if idle_buffers == 0:
        statistics.queue_full += 1
        return Error.QUEUE_FULL
    number = count_trailing_zeros(idle_buffers)
    if not copy_in(transmit_buffers[number][HEADER_BYTES : HEADER_BYTES + length], UserAddress(address)):
        return Error.BAD_ADDRESS
    give_to_device(number, length)
    return 0


def give_to_device(number: u64, length: u64) -> None:
    """A frame that lies in a buffer."""
    global idle_buffers
    idle_buffers &= ~(u64(1) << number)
    transmit_queue.descriptors[number].length = u32(HEADER_BYTES + length)
    compiler_barrier()
    virtio.offer(transmit_queue, transmit_state, u16(number))
    virtio.notify(TRANSMIT, transmit_state)
    information.page.network.transmitted += 1


def collect_sent() -> None:
    """Takes back the buffers that the device has sent."""
    global idle_buffers
    count = transmit_queue.used.index - transmit_state.next_used
    if count > QUEUE_LENGTH:
        information.page.network.malformed += 1
        transmit_state.next_used = transmit_queue.used.index
        return
    for _ in range(count):
        number = transmit_queue.used.ring[transmit_state.next_used % QUEUE_LENGTH].id
        transmit_state.next_used += 1
        if number >= QUEUE_LENGTH or idle_buffers >> number & 1:
            information.page.network.malformed += 1
        else:
            idle_buffers |= u64(1) << number
