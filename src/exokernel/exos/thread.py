# SPDX-License-Identifier: MIT
"""Threads inside one environment, and what they wait for: mutex, condition, semaphore. The kernel knows nothing of them:
it only says when a slice of the environment begins (prologue) or ends (epilogue), and the next thread's turn comes
there, or when a thread waits. All queues are first in, first out.

A thread is not taken off the processor inside a critical section (`exos.critical`), nor on a stack that is not its own:
in a handler of exceptions it gives way when the handler ends. What other modules of the library offer is for one thread
at a time unless they use critical sections, as the console and the heap do; `aegis.wait`, and whatever sleeps by it, stops
all threads, and so does a transfer until its answer. Floating-point and vector registers are kept for threads that asked
by `keep_floating`, for nobody else. A thread that faults ends the environment, or is its handler's business, as ever.
Misuse traps.
"""

from collections.abc import Callable

from exokernel.aegis import abi
from exokernel.aegis.abi import ENVIRONMENT_ADDRESS, PAGE_BYTES, Call, Context, EnvironmentPage, ExceptionFrame
from exokernel.exos import aegis, console, critical, exceptions, heap, start, vm
from exokernel.machine import cpu
from exokernel.metal import *

Function = Callable[[u64], u64]  # what a thread runs

THREADS = 64  # that can exist, the first included
WINDOWS = 0x1E00_0000  # THREADS windows of addresses
WINDOW_PAGES = 64  # of addresses for each thread's stack; what its stack does not take, at least one page, is a guard
SWITCH_STACK_BYTES = 4096
FLOATING_BYTES = 1024
FLAGS = 0x202  # with which a thread begins: as the environment did

# Of a thread. The table of threads begins as zeros.
FREE = 0
LIVES = 1
ENDED = 2  # and nobody has asked for its result yet

# Bits of Mutex.word beside the owner's offset.
WAITED = 1  # for the mutex, by the threads in its queue
HELD = 2


@struct(align=8)
class Thread:
    """One thread. Threads are named by the offset of this in `threads`: the first is 0, also before `prepare`."""

    context: Context  # must be first: where it goes on, if `stack_pointer` is 0
    stack_pointer: u64  # where it goes on, if it gave the processor away itself
    next: u64  # in the queue that it is in
    deadline: u64  # timestamp, in the queue `sleeping`
    listens: u64  # not 0: events wake it too
    joiner: u64  # 1 + who waits for its result, or 0
    result: u64
    stack: u64  # lowest address
    stack_bytes: u64
    transfer_stack: u64  # what EnvironmentPage has while it runs
    transfer_return_entry: u32
    floating: u64  # where its floating-point registers are kept, or 0
    state: u32
    generation: u32  # moves on when the place is free again


threads: Array[Thread, THREADS] = Array[Thread, THREADS]()
switch_stack: Array[u8, SWITCH_STACK_BYTES] = aligned(16, Array[u8, SWITCH_STACK_BYTES]())
running: u64 = 0
resume_ip: u64 = 0
# Which of the kernel's upcalls ends turns; what it enters; 1 if a slice ends then, not if one begins.
entry: u64 = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "slice_start_entry")
upcall: u32 = 0
yields: u32 = 0
living: u64 = 1
listening: u64 = 0  # threads that events wake
floating: bool = False  # whether any thread has asked for such registers


@inline
def at(offset: u64) -> Thread:
    return Ptr[Thread](u64(addr(threads[0])) + offset)[0]


# ---- queues


@struct
class Queue:
    """Threads, the first in the first out: a ring through their `next`. Zeroed it is empty."""

    last: u64  # 1 + offset, or 0


@inline
def append(queue: Queue, thread: u64) -> None:
    if queue.last == 0:
        at(thread).next = thread
    else:
        last = at(queue.last - 1)
        at(thread).next = last.next
        last.next = thread
    queue.last = thread + 1


@inline
def take(queue: Queue) -> u64:
    """The first of a queue that is not empty, taken out."""
    last = queue.last - 1
    first = at(last).next
    if first == last:
        queue.last = 0
    else:
        at(last).next = at(first).next
    return first


runnable: Queue = Queue()
sleeping: Queue = Queue()  # in the order of their deadlines


def insert(thread: u64) -> None:
    """Into `sleeping`, behind those that wake no later."""
    deadline = at(thread).deadline
    if sleeping.last == 0 or at(sleeping.last - 1).deadline <= deadline:
        append(sleeping, thread)
        return
    before = sleeping.last - 1
    while at(at(before).next).deadline <= deadline:
        before = at(before).next
    at(thread).next = at(before).next
    at(before).next = thread


# ---- who runs. All of this in a critical section, on the switch stack.


def next_thread() -> u64:
    """Makes the next thread the one that runs, and waits for one if need be. From here on slices end turns again."""
    global running
    if critical.interrupted != 0:
        critical.interrupted = 0
        compiler_barrier()  # a turn that ends after the next line is noted again
        volatile_store(Ptr[u32](entry), upcall)
    if sleeping.last != 0:
        wake()
    while runnable.last == 0:
        idle()
    before = running
    running = take(runnable)
    if before != running:
        page = aegis.environment_page()  # of stubs that call other environments: each thread has its own there
        at(before).transfer_stack = page.transfer_stack
        at(before).transfer_return_entry = page.transfer_return_entry
        page.transfer_stack = at(running).transfer_stack
        page.transfer_return_entry = at(running).transfer_return_entry
        if floating:
            if at(before).floating != 0:
                cpu.save_floating(at(before).floating)
            if at(running).floating != 0:
                cpu.load_floating(at(running).floating)
    return running


def interrupted_thread() -> u64:
    """A slice has begun; where the thread was is in its context. Who runs now."""
    thread = at(running)
    context = thread.context
    thread.stack_pointer = 0
    critical.interrupted = 1  # the entry is empty
    code = Ptr[u8](context.ip)
    if code[0] == 0xFF and code[1] == 0x24 and code[2] == 0x25 and Ptr[u32](code + 3)[0] == FAULT_IP:
        context.ip = aegis.environment_page().exception_frame.ip
    in_handler = context.sp - thread.stack > thread.stack_bytes  # whose stack and frame there are but once:
    last = runnable.last
    append(runnable, running)
    if in_handler and last != 0:
        runnable.last = last  # it stays before all others
    chosen = next_thread()
    critical.overdue = u64(in_handler)
    return chosen


def leave_handler(registers: u64) -> None:
    """The thread goes on with the exceptions.Registers at that address when its turn comes again."""
    critical.enter()
    critical.overdue = 0
    thread = at(running)
    left = Ptr[exceptions.Registers](registers)[0]
    thread.context.registers.copy_from(Ptr[abi.Registers](registers)[0])
    thread.context.ip = left.ip
    thread.context.flags = left.flags
    thread.context.sp = left.rsp
    thread.stack_pointer = 0
    append(runnable, running)
    asm("mov esp, offset {switch_stack} + {SWITCH_STACK_BYTES}; call {next_thread}; jmp {resume}", "~{memory}")


def awaited_events() -> u64:
    page = aegis.environment_page()
    return page.pending & ~page.masked


def wake() -> None:
    """Makes all runnable whose deadline has passed, and all that listen if an event is pending."""
    now = cpu.read_timestamp()
    heard = listening != 0 and awaited_events() != 0
    last = sleeping.last - 1
    if at(at(last).next).deadline > now and not heard:
        return
    while True:
        thread = take(sleeping)
        if at(thread).deadline <= now or (heard and at(thread).listens != 0):
            append(runnable, thread)
        else:
            append(sleeping, thread)
        if thread == last:
            return


def idle() -> None:
    """Nobody can run: sleeps until the first deadline, or an event if somebody listens."""
    console.flush()
    if living == 0:
        start.end(0)
    if sleeping.last == 0:
        print("deadlock: every thread waits for another one")
        assert sleeping.last != 0, "every thread waits for another one"
    page = aegis.environment_page()
    masked = page.masked
    if listening == 0 and page.event_entry == 0:
        page.masked = 0xFFFF_FFFF_FFFF_FFFF
    result = aegis.wait(at(at(sleeping.last - 1).next).deadline)
    page.masked = masked
    assert result >= 0, "a handler of transfers cannot wait"
    wake()


# Where a slice's begin or end has interrupted a thread: ip, cs, flags, sp, ss.
SAVED_IP = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "saved") + offsetof(Context, "ip")
END_IP = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "slice_end_frame") + offsetof(ExceptionFrame, "ip")
# How a handler of exceptions goes back: the last instruction, already on the thread's stack, is `jmp [FAULT_IP]`.
FAULT_IP = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "exception_frame") + offsetof(ExceptionFrame, "ip")
PUSH_ALL, POP_ALL = aegis.saving(*reversed(abi.Registers.__annotations__))  # an abi.Registers
PUSH_FRAME, POP_FRAME = aegis.saving(*(f"qword ptr [{{frame}} + {8 * i}]" for i in reversed(range(5))))
YIELD = f"mov eax, {Call.YIELD_TO:d}\nmov edi, {abi.ANY_ENVIRONMENT}\nsyscall"  # keeps no register but rsp


@naked
def switch() -> None:
    """In a critical section: the next thread runs; returns when this one, which is in some queue, runs again."""
    asm("""
        {aegis.PUSH_PRESERVED}
        mov rax, qword ptr [{running}]
        mov qword ptr [rax + {threads} + {offsetof(Thread, "stack_pointer")}], rsp
        mov esp, offset {switch_stack} + {SWITCH_STACK_BYTES}
        call {next_thread}
        jmp {resume}
    """)


@naked
def resume() -> None:
    """Goes on with thread `rax`. One that was interrupted has its whole context in memory until the last jump: whoever is
    interrupted between the labels has lost nothing: another turn begins with the same.
    """
    asm("""
        mov rsp, qword ptr [rax + {threads} + {offsetof(Thread, "stack_pointer")}]
        test rsp, rsp
        jz 2f
        {aegis.POP_PRESERVED}
        ret
    2:
    thread_resume_begin:
        mov qword ptr [{critical.depth}], 0
        mov qword ptr [{critical.interrupted}], 0
        mov rcx, qword ptr [{entry}]
        mov edx, dword ptr [{upcall}]
        mov dword ptr [rcx], edx
        lea rsp, [rax + {threads}]
        mov rcx, qword ptr [rsp + {offsetof(Context, "ip")}]
        mov qword ptr [{resume_ip}], rcx
        {POP_ALL}
        lea rsp, [rsp + 16]
        popfq
        pop rsp
        jmp qword ptr [{resume_ip}]
    thread_resume_end:
    """)


@naked
def prologue() -> None:
    """Where the kernel continues when a slice begins. Of the thread's registers, `rsp` and the flags are in the save area,
    all others as they were. The entry is empty now, so nothing of this happens twice.
    """
    asm("""
        mov esp, {SAVED_IP}
        jmp {interrupt}
    """)


@naked
def epilogue() -> None:
    """The same when a slice ends; `rsp` and the flags are in the frame of this upcall."""
    asm("""
        mov esp, {END_IP}
        jmp {interrupt}
    """)


@naked
def interrupt() -> None:
    """A turn ends: the thread's context is saved, unless it still is, and the next one goes on. What is left of a slice
    that has ended is a debt, so it is yielded before anything that is long; a yield keeps no register.
    """
    asm("""
        {POP_FRAME}
        cmp dword ptr [{critical.depth}], 0
        jne 2f
        cmp qword ptr [{frame}], offset thread_resume_begin
        jb 3f
        cmp qword ptr [{frame}], offset thread_resume_end
        jb 4f
    3:
        mov rsp, qword ptr [{running}]
        lea rsp, [rsp + {threads} + {sizeof(Context)}]
        {PUSH_FRAME}
        {PUSH_ALL}
    4:
        mov esp, offset {switch_stack} + {SWITCH_STACK_BYTES}
        mov qword ptr [{critical.depth}], 1
        cmp dword ptr [{yields}], 0
        je 5f
        {YIELD}
    5:
        call {interrupted_thread}
        jmp {resume}
    2:
        mov qword ptr [{critical.interrupted}], 1
        cmp dword ptr [{yields}], 0
        je 6f
        mov esp, offset {yielding} + {sizeof(Context)}
        {PUSH_ALL}
        {YIELD}
        {POP_ALL}
    6:
        mov esp, offset {frame} + 16
        popfq
        pop rsp
        jmp qword ptr [{frame}]
    """)


frame: Array[u64, 5] = Array[u64, 5]()
yielding: Context = Context()  # registers of a thread whose slice ends in a critical section


def switch_at_slice_ends() -> None:
    """For an environment that owns no slices, such as a client of `exos.schedule`: it has no prologue, so turns end by its
    epilogue. Before the first `create`; not for one that serves transfers.
    """
    global entry, upcall, yields
    yields = 1
    entry = ENVIRONMENT_ADDRESS + offsetof(EnvironmentPage, "slice_end_entry")
    upcall = u32(u64(epilogue))


# ---- the life of a thread


def prepare() -> None:
    """Makes the environment's first thread one of several."""
    global upcall
    first = threads[0]
    first.state = LIVES
    first.stack = abi.STACK_TOP - abi.STACK_BYTES
    first.stack_bytes = abi.STACK_BYTES
    critical.late[0] = give_way
    critical.late_from_handler[0] = leave_handler
    if upcall == 0:
        upcall = u32(u64(prologue))
    volatile_store(Ptr[u32](entry), upcall)


def create(function: Function, argument: u64, stack_pages: u64) -> i64:
    """A new thread that runs `function(argument)` on a stack of its own of 1 to WINDOW_PAGES - 1 pages; what it returns
    is its result. Returns its handle, NO_ROOM when there are THREADS, or NO_FRAMES.
    """
    global living
    assert stack_pages - 1 < WINDOW_PAGES - 1, "a stack has 1 to 63 pages"
    critical.enter()
    if threads[0].state == FREE:
        prepare()
    place: u64 = 1
    while place < THREADS and threads[place].state != FREE:
        place += 1
    if place == THREADS:
        critical.leave()
        return abi.Error.NO_ROOM
    thread = threads[place]
    thread.stack_bytes = stack_pages * PAGE_BYTES
    thread.stack = WINDOWS + (place + 1) * WINDOW_PAGES * PAGE_BYTES - thread.stack_bytes
    error = vm.commit(thread.stack // PAGE_BYTES, stack_pages)
    if error != 0:
        vm.unmap(thread.stack // PAGE_BYTES, stack_pages)
        critical.leave()
        return error
    thread.joiner = 0
    thread.context.registers.rdi = u64(function)
    thread.context.registers.rsi = argument
    thread.context.registers.rbp = 0
    thread.context.ip = u64(run)
    thread.context.flags = FLAGS
    thread.context.sp = thread.stack + thread.stack_bytes - 8  # a return address of 0, where backtraces end
    thread.stack_pointer = 0
    thread.state = LIVES
    living += 1
    append(runnable, place * sizeof(Thread))
    critical.leave()
    return i64(u64(thread.generation) * THREADS + place)


def run(function: Function, argument: u64) -> None:
    exit(function(argument))


@noreturn
def exit(result: u64) -> None:
    """Ends the thread that runs. Its stack goes back at once, its handle with `join`. With the last thread the
    environment ends, with status 0; returning from `main` ends it at once.
    """
    global living
    critical.enter()
    thread = at(running)
    thread.result = result
    thread.state = ENDED
    living -= 1
    if thread.joiner != 0:
        append(runnable, thread.joiner - 1)
    if thread.floating != 0:
        heap.release(Ptr[u8](thread.floating))
        thread.floating = 0
    asm("mov esp, offset {switch_stack} + {SWITCH_STACK_BYTES}; call {finish}; jmp {resume}", "~{memory}")
    unreachable()


def finish() -> u64:
    """On the switch stack: that of the thread that ended can go."""
    if running != 0:
        thread = at(running)
        vm.unmap(thread.stack // PAGE_BYTES, thread.stack_bytes // PAGE_BYTES)
    return next_thread()


def join(handle: u64) -> u64:
    """Waits until a thread has ended and returns its result. The handle is used up."""
    thread = threads[handle % THREADS]
    critical.enter()
    assert thread.state != FREE and thread.generation == handle // THREADS, "joins a thread that does not exist"
    if thread.state == LIVES:
        assert thread.joiner == 0, "two threads join the same one"
        assert handle % THREADS != current() % THREADS, "a thread joins itself"
        thread.joiner = running + 1
        switch()
    thread.state = FREE
    thread.generation += 1
    result = thread.result
    critical.leave()
    return result


def current() -> u64:
    """The handle of the thread that runs."""
    return u64(at(running).generation) * THREADS + running // sizeof(Thread)


def give_way() -> None:
    """All other threads that can run have a turn."""
    critical.enter()
    append(runnable, running)
    switch()
    critical.leave()


def sleep(nanoseconds: u64) -> None:
    """Lets the others run for that time at least; with none, the environment sleeps."""
    suspend(cpu.read_timestamp() + nanoseconds * aegis.system_page().timestamp_frequency // 1_000_000_000, 0)


def wait(deadline: u64) -> u64:
    """`aegis.wait` for one thread: until an event is pending that is not masked, or the timestamp counter has passed
    `deadline` (FOREVER: no deadline). Returns these events. All threads that wait so are woken by an event.
    """
    if awaited_events() == 0:
        suspend(deadline, 1)
    return awaited_events()


def suspend(deadline: u64, listens: u64) -> None:
    global listening
    critical.enter()
    thread = at(running)
    thread.deadline = deadline
    thread.listens = listens
    listening += listens
    insert(running)
    switch()
    listening -= listens
    critical.leave()


def keep_floating() -> i64:
    """From now on the thread that runs may use floating-point and vector registers, and finds its own whatever others do.
    Returns 0 or NO_FRAMES.
    """
    global floating
    thread = at(running)
    if thread.floating == 0:
        area = heap.allocate(FLOATING_BYTES)
        if not area:
            return abi.Error.NO_FRAMES
        Span[u8](area, FLOATING_BYTES).fill(0)
        aegis.floating_point(1)
        cpu.extended_save = cpu.feature_bits(1) >> OSXSAVE & 1 != 0
        thread.floating = u64(area)
        floating = True
    return 0


OSXSAVE = 59  # of `cpu.feature_bits(1)`: the kernel lets applications use `xsave`


# ---- what threads wait for


@struct
class Mutex:
    """Held by one thread at a time. Zeroed it is free."""

    word: u64  # its owner's offset and the bits WAITED and HELD
    waiting: Queue

    def lock(self) -> None:
        """Waits until this thread holds it."""
        if not atomic_compare_exchange(addr(self.word), 0, running | HELD):
            self.wait_for()

    def unlock(self) -> None:
        """The first that waits for it holds it."""
        if not atomic_compare_exchange(addr(self.word), running | HELD, 0):
            critical.enter()
            self.pass_on()
            critical.leave()

    def wait_for(self) -> None:
        critical.enter()
        assert self.word & ~WAITED != running | HELD, "locks a mutex that this thread holds"
        if self.word == 0:
            self.word = running | HELD
        else:
            self.word |= WAITED
            append(self.waiting, running)
            switch()
        critical.leave()

    def pass_on(self) -> None:
        assert self.word & ~WAITED == running | HELD, "unlocks a mutex that this thread does not hold"
        self.word = 0
        if self.waiting.last != 0:
            thread = take(self.waiting)
            self.word = thread | HELD | u64(self.waiting.last != 0)
            append(runnable, thread)

    def destroy(self) -> None:
        """Says that nobody uses it any more."""
        assert self.word == 0, "destroys a mutex that is in use"


@struct
class Condition:
    """Something that threads that hold a mutex wait for. Zeroed nobody waits."""

    waiting: Queue

    def wait(self, mutex: Mutex) -> None:
        """Unlocks `mutex`, waits for a signal, and returns when this thread holds the mutex again."""
        critical.enter()
        mutex.pass_on()
        append(self.waiting, running)
        switch()
        critical.leave()
        mutex.lock()

    def signal(self) -> None:
        """The first that waits goes on when it can have its mutex."""
        critical.enter()
        if self.waiting.last != 0:
            append(runnable, take(self.waiting))
        critical.leave()

    def broadcast(self) -> None:
        """As `signal`, for all that wait."""
        critical.enter()
        while self.waiting.last != 0:
            append(runnable, take(self.waiting))
        critical.leave()

    def destroy(self) -> None:
        """Says that nobody uses it any more."""
        assert self.waiting.last == 0, "destroys a condition that is in use"


@struct
class Semaphore:
    """A number of permits, which `count` is at first."""

    count: u64
    waiting: Queue

    def acquire(self) -> None:
        """Takes a permit; waits for one if there is none."""
        critical.enter()
        if self.count != 0:
            self.count -= 1
        else:
            append(self.waiting, running)
            switch()
        critical.leave()

    def release(self) -> None:
        """Gives a permit, to the first that waits if somebody does."""
        critical.enter()
        if self.waiting.last != 0:
            append(runnable, take(self.waiting))
        else:
            self.count += 1
        critical.leave()

    def destroy(self) -> None:
        """Says that nobody uses it any more."""
        assert self.waiting.last == 0, "destroys a semaphore that is in use"
