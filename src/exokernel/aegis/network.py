# SPDX-License-Identifier: MIT
"""The network device: received frames go to the ring of the one environment that bound it, frames to be sent are
copied out of its memory.

The device only ever sees the kernel's own buffers, and is not trusted: its answers are checked, and nonsense is
counted. Nor is the ring: the kernel keeps its own producer index and the frames behind the ring, and takes the
consumer index as a hint that can only hurt its writer. What cannot be delivered is counted in the system page.
"""

from exokernel.aegis import environment, frames, information, processor, tlb
from exokernel.aegis.abi import *
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import interrupts, paging, virtio
from exokernel.machine.virtio import QUEUE_LENGTH, Queue, QueueState
from exokernel.metal import *

HEADER_BYTES = 12  # virtio_net_hdr (5.1.6), all zero: no offloads
BUFFER_BYTES = 2048
SHORTEST_FRAME = 14
RECEIVE = 0  # queue numbers (5.1.2)
TRANSMIT = 1
RING_PAGES = sizeof(ReceiveRing) // paging.PAGE
SLOTS_PER_PAGE = paging.PAGE // sizeof(ReceiveSlot)


@struct
class Binding:
    """Who receives, and into which frames."""

    owner: u64  # ENVIRONMENTS: nobody
    producer: u32
    pages: Array[u32, RING_PAGES]


binding: Binding = Binding(owner=ENVIRONMENTS)
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
    delivered: u64 = 0
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
            if deliver(receive_buffers[number][HEADER_BYTES:length]):
                delivered += 1
        virtio.offer(receive_queue, receive_state, u16(number))
    if count > 0:
        virtio.notify(RECEIVE, receive_state)
    if delivered > 0:
        statistics.delivered += delivered
        page = environment.records[binding.owner].page[0]
        page.pending |= Event.NETWORK
        processor.wake(binding.owner)


def deliver(frame: Span[u8]) -> bool:
    """Copies a frame into the ring of who bound the network, or counts why not."""
    if binding.owner == ENVIRONMENTS:
        information.page.network.unmatched += 1
        return False
    indices = Ptr[RingIndices](paging.direct(u64(binding.pages[0]) * paging.PAGE))[0]
    if binding.producer - indices.consumer >= RING_SLOTS:
        information.page.network.ring_full += 1
        return False
    number = u64(binding.producer % RING_SLOTS)
    page = binding.pages[1 + number // SLOTS_PER_PAGE]
    slot = (Ptr[ReceiveSlot](paging.direct(u64(page) * paging.PAGE)) + number % SLOTS_PER_PAGE)[0]
    slot.data[: len(frame)].copy_from(frame)
    slot.length = u32(len(frame))
    compiler_barrier()
    binding.producer += 1
    indices.producer = binding.producer
    return True


def bind(ring: u64, second: u64, third: u64, fourth: u64) -> i64:
    """The call `network_bind`."""
    caller = environment.current().identifier
    if not information.page.network_present:
        return Error.NO_NETWORK
    if binding.owner != ENVIRONMENTS and binding.owner != caller:
        return Error.BUSY
    if ring % paging.PAGE != 0 or ring > USER_LIMIT - sizeof(ReceiveRing):
        return Error.BAD_ADDRESS
    first = ring // paging.PAGE
    for i in range(RING_PAGES):
        if not tlb.is_writable(first + i):
            return Error.BAD_ADDRESS
        if not tlb.entry_of(first + i)[0].own:
            return Error.NOT_OWNER
    unbind(caller)
    for i in range(RING_PAGES):
        frame = tlb.entry_of(first + i)[0].frame
        binding.pages[i] = u32(frame)
        frames.entry(frame).pins += 1
    indices = Ptr[RingIndices](paging.direct(u64(binding.pages[0]) * paging.PAGE))[0]
    indices.producer = 0
    indices.consumer = 0
    binding.producer = 0
    binding.owner = caller
    return 0


def unbind(identifier: u64) -> None:
    """Ends the binding of an environment, if it is its."""
    if binding.owner != identifier:
        return
    binding.owner = ENVIRONMENTS
    for page in binding.pages:
        frames.entry(u64(page)).pins -= 1


def transmit(address: u64, length: u64, third: u64, fourth: u64) -> i64:
    """The call `network_transmit`."""
    global idle_buffers
    statistics = information.page.network
    if not information.page.network_present:
        return Error.NO_NETWORK
    if binding.owner != ENVIRONMENTS and binding.owner != environment.current().identifier:
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
    idle_buffers &= ~(u64(1) << number)
    transmit_queue.descriptors[number].length = u32(HEADER_BYTES + length)
    compiler_barrier()
    virtio.offer(transmit_queue, transmit_state, u16(number))
    virtio.notify(TRANSMIT, transmit_state)
    statistics.transmitted += 1
    return 0


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
