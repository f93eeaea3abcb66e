# SPDX-License-Identifier: MIT
"""Sending: short frames are copied out of an environment's memory, others the device reads where they lie.

A frame that is not copied lies in a `SendSlot` in a page of its sender's own. From `network_send` on until the device has
read it the page's frame is pinned: it cannot be released, given away, made a table or taken by force. When its owner
ends meanwhile it is the kernel's, and free again when the device has read it. The sender sees that in the slot itself.
The virtio header is always the kernel's. What the device answers is checked; that it answers cannot be enforced.
"""

from exokernel.aegis import environment, frames, handlers, information, network, processor, receiving, tlb
from exokernel.aegis.abi import *
from exokernel.aegis.counters import TraceCounter, tally
from exokernel.aegis.user_memory import UserAddress, copy_in
from exokernel.machine import paging, virtio
from exokernel.machine.virtio import QUEUE_LENGTH, Queue, QueueState
from exokernel.metal import *

QUEUE = 1  # its number (5.1.2)
HEADER_BYTES = 12  # virtio_net_hdr (5.1.6), all zero: no offloads
BUFFER_BYTES = 2048
SHORTEST_FRAME = 14
# The queue's descriptors: of the buffers into which the kernel copies, then pairs of a header and a frame elsewhere.
BUFFERS = 64
PAIRS = 64
ALL = 0xFFFFFFFFFFFFFFFF


queue: Queue = aligned(4096, Queue())
state: QueueState = QueueState()
buffers: Array[Array[u8, BUFFER_BYTES], BUFFERS] = aligned(4096, Array[Array[u8, BUFFER_BYTES], BUFFERS]())
header: Array[u8, HEADER_BYTES] = Array[u8, HEADER_BYTES]()
lent: Array[u64, PAIRS] = Array[u64, PAIRS]()  # physical address of the SendSlot
senders: Array[u8, PAIRS] = Array[u8, PAIRS]()
idle_buffers: u64 = ALL  # bit n: buffer n is not with the device
idle_pairs: u64 = ALL


def initialize() -> bool:
    """Makes the queue, and shows it to the device. False if it cannot be that long."""
    for i in range(BUFFERS):
        queue.descriptors[i].address = virtio.physical(u64(addr(buffers[i])))
    for i in range(PAIRS):
        first = BUFFERS + 2 * i
        queue.descriptors[first].address = virtio.physical(u64(addr(header[0])))
        queue.descriptors[first].length = HEADER_BYTES
        queue.descriptors[first].flags = virtio.FOLLOWED
        queue.descriptors[first].next = u16(first + 1)
    queue.available.flags = virtio.NO_INTERRUPT
    return virtio.set_up_queue(QUEUE, queue, state)


def refusal() -> i64:
    """Why the current environment may not send; 0 if it may."""
    if not information.page.network_present:
        return Error.NO_NETWORK
    if receiving.table.count != 0 and not receiving.receives(environment.current().identifier):
        return Error.BUSY
    if network.held and receiving.has_room(environment.current().identifier):
        network.listen()
    return 0


def transmit(address: u64, length: u64, third: u64, fourth: u64) -> i64:
    """The call `network_transmit`."""
    global idle_buffers
    error = refusal()
    if error != 0:
        return error
    if length < SHORTEST_FRAME or length > TRANSMIT_LIMIT:
        return Error.BAD_ARGUMENT
    if idle_buffers == 0:
        collect()
        if idle_buffers == 0:
            tally(TraceCounter.QUEUE_FULL)
            return Error.QUEUE_FULL
    number = count_trailing_zeros(idle_buffers)
    frame = Span[u8](Ptr[u8](u64(addr(buffers[number])) + HEADER_BYTES), length)  # which fits
    if not copy_in(frame, UserAddress(address)):
        return Error.BAD_ADDRESS
    idle_buffers &= idle_buffers - 1
    queue.descriptors[number].length = u32(HEADER_BYTES + length)
    offer(frame, number)
    virtio.notify(QUEUE, state)
    collect()  # what is back from before: the device need not wait for that
    return 0


def send_copy(source: u64, length: u64) -> bool:
    """Sends a frame of the kernel's memory; False, and counted, if the device has no room."""
    if receiving.captured == 0 and idle_buffers != 0:
        _send_copy(source, length)
        return True
    return send_copy_slowly(source, length)


@noinline
def send_copy_slowly(source: u64, length: u64) -> bool:
    """The same if somebody captures, or there may be no room."""
    if idle_buffers == 0:
        collect()
        if idle_buffers == 0:
            tally(TraceCounter.QUEUE_FULL)
            return False
    receiving.capture(Span[u8](Ptr[u8](source), length), Right.WRITE)
    _send_copy(source, length)
    return True


@inline
def _send_copy(source: u64, length: u64) -> None:
    global idle_buffers
    number = count_trailing_zeros(idle_buffers)
    idle_buffers &= idle_buffers - 1
    handlers.copy_words(u64(addr(buffers[number])) + HEADER_BYTES, source, length)
    queue.descriptors[number].length = u32(HEADER_BYTES + length)
    virtio.offer(queue, state, u16(number))
    tally(TraceCounter.TRANSMITTED)
    virtio.notify(QUEUE, state)


def send(address: u64, count: u64, third: u64, fourth: u64) -> i64:
    """The call `network_send`."""
    error = refusal()
    if error != 0:
        return error
    if count > SEND_LIMIT or address % sizeof(SendSlot) != 0:
        return Error.BAD_ARGUMENT
    if address > USER_LIMIT - count * sizeof(SendSlot):
        return Error.BAD_ADDRESS
    collect()
    sender = environment.current().identifier
    for i in range(count):
        error = send_slot(address + i * sizeof(SendSlot), sender)
        if error != 0:
            if i == 0:
                return error
            count = i
            break
    if count != 0:
        virtio.notify(QUEUE, state)
        processor.earliest = 0  # the next tick looks what has been read
    return i64(count)


def send_slot(address: u64, sender: u64) -> i64:
    """Gives what is in a slot to the device. Returns 0, or why not."""
    global idle_pairs
    if idle_pairs == 0:
        tally(TraceCounter.QUEUE_FULL)
        return Error.QUEUE_FULL
    if not tlb.is_writable(address // paging.PAGE):
        return Error.BAD_ADDRESS
    entry = tlb.entry_of(address // paging.PAGE)[0]
    if not entry.own:
        return Error.NOT_OWNER
    place = entry.frame * paging.PAGE + address % paging.PAGE
    slot = Ptr[SendSlot](paging.direct(place))[0]
    length = slot.length
    if length < SHORTEST_FRAME or length > TRANSMIT_LIMIT:
        return Error.BAD_ARGUMENT
    number = count_trailing_zeros(idle_pairs)
    idle_pairs &= idle_pairs - 1
    slot.busy = 1
    frames.entry(entry.frame).pins += 1
    lent[number] = place
    senders[number] = u8(sender)
    first = BUFFERS + 2 * number
    queue.descriptors[first + 1].address = place + offsetof(SendSlot, "data")
    queue.descriptors[first + 1].length = length
    information.page.network.uncopied += 1
    offer(slot.data[:length], first)
    return 0


@inline
def offer(frame: Span[u8], descriptor: u64) -> None:
    if receiving.captured != 0:
        receiving.capture(frame, Right.WRITE)
    virtio.offer(queue, state, u16(descriptor))
    tally(TraceCounter.TRANSMITTED)


def collect() -> None:
    """Takes back what the device has read."""
    global idle_buffers
    count = queue.used.index - state.next_used
    if count > QUEUE_LENGTH:
        tally(TraceCounter.MALFORMED)
        state.next_used = queue.used.index
        return
    for _ in range(count):
        number = u64(queue.used.ring[state.next_used % QUEUE_LENGTH].id)
        state.next_used += 1
        if number < BUFFERS and idle_buffers >> number & 1 == 0:
            idle_buffers |= u64(1) << number
        elif number < BUFFERS or number % 2 != 0 or not finish((number - BUFFERS) // 2):
            tally(TraceCounter.MALFORMED)


def finish(number: u64) -> bool:
    """The device has read a slot. False: it did not have it."""
    global idle_pairs
    if number >= PAIRS or idle_pairs >> number & 1:
        return False
    idle_pairs |= u64(1) << number
    place = lent[number]
    frame = frames.entry(place // paging.PAGE)
    frame.pins -= 1
    if frame.owner == senders[number]:
        Ptr[SendSlot](paging.direct(place))[0].busy = 0
    elif frame.owner == FRAME_KERNEL and frame.pins == 0:  # its owner has ended
        frames.free_range(place // paging.PAGE, place // paging.PAGE + 1)
    return True
