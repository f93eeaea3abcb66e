# SPDX-License-Identifier: MIT
"""Three producers and three consumers share a small ring, first with mutex and conditions, then with semaphores. Each
number arrives once. Prints how many arrived, their sum, and the largest number that ever waited in the ring.
"""

from exokernel.exos import thread
from exokernel.metal import Array, u64

PRODUCERS = 3
ITEMS = 4_000  # of each producer
ROOM = 5
STOP = 0xFFFF_FFFF

ring: Array[u64, ROOM] = Array[u64, ROOM]()
first: u64 = 0
used: u64 = 0
most: u64 = 0
mutex: thread.Mutex = thread.Mutex()
not_full: thread.Condition = thread.Condition()
not_empty: thread.Condition = thread.Condition()
room: thread.Semaphore = thread.Semaphore(ROOM)
items: thread.Semaphore = thread.Semaphore()
seen: Array[u64, PRODUCERS] = Array[u64, PRODUCERS]()
disorder: u64 = 0


def put(item: u64) -> None:
    global used, most
    ring[(first + used) % ROOM] = item
    used += 1
    most = max(most, used)


def get() -> u64:
    global first, used
    item = ring[first]
    first = (first + 1) % ROOM
    used -= 1
    return item


def send(item: u64) -> None:
    mutex.lock()
    while used == ROOM:
        not_full.wait(mutex)
    put(item)
    not_empty.signal()
    mutex.unlock()


def receive() -> u64:
    mutex.lock()
    while used == 0:
        not_empty.wait(mutex)
    item = get()
    not_full.signal()
    mutex.unlock()
    return item


def produce(number: u64) -> u64:
    for i in range(ITEMS):
        send(i * PRODUCERS + number)
    return 0


def consume(number: u64) -> u64:
    total: u64 = 0
    item = receive()
    while item != STOP:
        total += item
        item = receive()
    return total


def produce_by_semaphore(number: u64) -> u64:
    for i in range(ITEMS):
        room.acquire()
        mutex.lock()
        put(i * PRODUCERS + number)
        mutex.unlock()
        items.release()
    return 0


def consume_by_semaphore(number: u64) -> u64:
    """Takes as many as one producer makes. What one producer sent comes in its order."""
    global disorder
    total: u64 = 0
    for _ in range(ITEMS):
        items.acquire()
        mutex.lock()
        item = get()
        if item // PRODUCERS != seen[item % PRODUCERS]:
            disorder += 1
        seen[item % PRODUCERS] = item // PRODUCERS + 1
        mutex.unlock()
        room.release()
        total += item
    return total


def start(function: thread.Function, handles: Array[u64, PRODUCERS]) -> None:
    for i in range(PRODUCERS):
        handles[i] = u64(thread.create(function, i, 1))


def finish(handles: Array[u64, PRODUCERS]) -> u64:
    total: u64 = 0
    for handle in handles:
        total += thread.join(handle)
    return total


def main() -> None:
    producers: Array[u64, PRODUCERS] = Array[u64, PRODUCERS]()
    consumers: Array[u64, PRODUCERS] = Array[u64, PRODUCERS]()
    start(consume, consumers)
    start(produce, producers)
    finish(producers)
    for _ in range(PRODUCERS):
        send(STOP)
    print("conditions", finish(consumers), "at most", most)
    start(produce_by_semaphore, producers)
    start(consume_by_semaphore, consumers)
    finish(producers)
    print("semaphores", finish(consumers), "at most", most, "out of order", disorder)
    mutex.destroy()
    not_full.destroy()
    not_empty.destroy()
    room.destroy()
    items.destroy()
