# SPDX-License-Identifier: MIT
"""The processor's instructions and registers that Python has no word for, one function each, and its descriptor
tables.

The first part works in applications too; the rest needs ring 0. Nothing here decides anything. Sections are those of
the Intel 64 and IA-32 Architectures Software Developer's Manual (SDM).
"""

from exokernel.metal import Array, addr, aligned, asm, bits, field, inline, noreturn, sizeof, struct, u8, u16, u32, u64

# ---- in every ring


@inline
def read_timestamp() -> u64:
    """The timestamp counter; under `-icount` the number of instructions since the machine started."""
    return asm("rdtsc; shl rdx, 32; or rax, rdx", "={rax},~{rdx},~{flags}", returns=u64)


@inline
def pause() -> None:
    """Tells the processor that this is a waiting loop."""
    asm("pause", "~{memory}")


# ---- ports (ring 0)


@inline
def output_byte(port: u16, value: u8) -> None:
    asm("out dx, al", "{dx},{al},~{memory}", port, value)


@inline
def output_word(port: u16, value: u32) -> None:
    """Writes 32 bits."""
    asm("out dx, eax", "{dx},{eax},~{memory}", port, value)


@inline
def input_byte(port: u16) -> u8:
    return asm("in al, dx", "={al},{dx},~{memory}", port, returns=u8)


@inline
def input_word(port: u16) -> u32:
    """Reads 32 bits."""
    return asm("in eax, dx", "={eax},{dx},~{memory}", port, returns=u32)


def output_bytes(port: u16, data: bytes) -> None:
    """Writes every byte of `data` to one port, in order."""
    if len(data) > 0:
        asm("rep outsb", "{dx},{rsi},{rcx},~{rsi},~{rcx},~{memory}", port, u64(addr(data[0])), len(data))


# ---- registers (ring 0)

CR0 = 0x8005003B  # PG AM WP NE ET TS MP PE: the first floating-point or vector instruction raises an exception
CR4_PAE = 1 << 5
CR4_PGE = 1 << 7
CR4_FLOATING = 3 << 9  # OSFXSR OSXMMEXCPT: vector instructions, and their exceptions
CR4_UMIP = 1 << 11
CR4_OSXSAVE = 1 << 18
CR4_SMEP = 1 << 20
CR4_SMAP = 1 << 21
CR4_PKE = 1 << 22

EFER = 0xC0000080
EFER_BITS = 0x901  # SCE LME NXE
STAR = 0xC0000081
LSTAR = 0xC0000082
CSTAR = 0xC0000083
SFMASK = 0xC0000084

USER_FLAGS = 0x202  # what an application starts with: interrupts on
OWN_FLAGS = 0x50DD5  # what an application may choose: CF PF AF ZF SF TF DF OF RF AC
# What `syscall` clears, because it must not reach the kernel: TF IF DF IOPL NT RF AC.
SYSCALL_CLEARS = 0x57700


@inline
def write_msr(register: u32, value: u64) -> None:
    asm("wrmsr", "{ecx},{eax},{edx},~{memory}", register, u32(value), u32(value >> 32))


@inline
def page_fault_address() -> u64:
    """CR2: the address of the last page fault."""
    return asm("mov rax, cr2", "={rax}", returns=u64)


@inline
def load_root(root: u64) -> None:
    """CR3: continues in the address space whose top table is at physical address `root`."""
    asm("mov cr3, rdi", "{rdi},~{memory}", root)


@inline
def forget_translation(address: u64) -> None:
    """Drops what the processor remembers of the mapping of one page."""
    asm("invlpg [rdi]", "{rdi},~{memory}", address)


@inline
def feature_bits(leaf: u32) -> u64:
    """CPUID's ebx (low half) and ecx (high half) of `leaf`, sub-leaf 0 (SDM volume 2, CPUID)."""
    return asm(
        "cpuid; shl rcx, 32; mov eax, ebx; or rax, rcx",
        "={rax},{eax},{ecx},~{rbx},~{rcx},~{rdx},~{flags}",
        leaf,
        u32(0),
        returns=u64,
    )


@inline
def highest_leaf() -> u32:
    return asm("cpuid", "={eax},{eax},{ecx},~{rbx},~{rcx},~{rdx}", u32(0), u32(0), returns=u32)


extended_save: bool = False  # XSAVE is there
RDRAND = 62  # of `feature_bits(1)`


def random() -> u64:
    """A number that nobody can know: the processor's own, or, where it has none, what the time-stamp counter makes of
    it.
    """
    mixed = read_timestamp() * 0x9E3779B97F4A7C15
    if feature_bits(1) >> RDRAND & 1:
        mixed ^= asm("rdrand rax", "={rax},~{flags}", returns=u64)
    return mixed


has_keys: bool = False  # of protection
control: u64 = 0  # CR4, without protection keys
access_prevention: bool = False  # SMAP is on: user memory is out of reach outside `allow_user_access`


def protect() -> None:
    """Turns on every protection that the processor has, and keeps floating-point and vector registers out of reach."""
    global access_prevention, extended_save, has_keys, control
    flags: u64 = CR4_PAE | CR4_PGE | CR4_FLOATING
    if highest_leaf() >= 7:
        features = feature_bits(7)
        if features >> 7 & 1:
            flags |= CR4_SMEP
        if features >> 20 & 1:
            flags |= CR4_SMAP
            access_prevention = True
        if features >> 34 & 1:
            flags |= CR4_UMIP
        has_keys = features >> 35 & 1 != 0
    extensions = feature_bits(1)
    extended_save = extensions >> 58 & 1 != 0
    if extended_save:
        flags |= CR4_OSXSAVE
    control = flags
    asm("mov cr4, rdi", "{rdi},~{memory}", flags)
    if extended_save:
        has_avx = extensions >> 60 & 1 != 0
        asm("xsetbv", "{ecx},{eax},{edx},~{memory}", u32(0), u32(7) if has_avx else u32(3), u32(0))
    asm("mov cr0, rdi", "{rdi},~{memory}", u64(CR0))


# ---- floating-point and vector registers (SDM volume 1, 13.7 and 13.8; 10.5)


def save_floating(area: u64) -> None:
    """Writes x87, SSE and AVX registers to `area`, a multiple of 64; at most 832 bytes."""
    if extended_save:
        asm("xsave64 [rdi]", "{rdi},{eax},{edx},~{memory}", area, u32(0xFFFFFFFF), u32(0xFFFFFFFF))
    else:
        asm("fxsave64 [rdi]", "{rdi},~{memory}", area)


def load_floating(area: u64) -> None:
    """Undoes `save_floating`."""
    if extended_save:
        asm("xrstor64 [rdi]", "{rdi},{eax},{edx},~{memory}", area, u32(0xFFFFFFFF), u32(0xFFFFFFFF))
    else:
        asm("fxrstor64 [rdi]", "{rdi},~{memory}", area)


@inline
def reach_floating() -> None:
    """From now on using these registers raises no exception."""
    asm("clts", "~{memory}")


@inline
def hide_floating() -> None:
    """From now on it raises one: vector 7."""
    asm("mov cr0, rdi", "{rdi},~{memory}", u64(CR0))


# ---- protection keys (SDM volume 3, 4.6.2): each mapping has one of 16, PKRU has two bits for each


def reach_keys(rights: u32) -> None:
    """From now on the keys count, and PKRU is the application's to read and write."""
    asm("mov cr4, rdi", "{rdi},~{memory}", control | CR4_PKE)
    asm("wrpkru", "{eax},{ecx},{edx},~{memory}", rights, u32(0), u32(0))


def hide_keys() -> u32:
    """Ends that; what was in PKRU."""
    rights = asm("rdpkru", "={eax},{ecx},~{edx}", u32(0), returns=u32)
    asm("mov cr4, rdi", "{rdi},~{memory}", control)
    return rights


@inline
def allow_user_access() -> None:
    if access_prevention:
        asm("stac", "~{memory},~{flags}")


@inline
def forbid_user_access() -> None:
    if access_prevention:
        asm("clac", "~{memory},~{flags}")


@noreturn
def stop() -> None:
    """Halts for good."""
    while True:
        asm("cli; hlt", "~{memory}")


# ---- descriptors (SDM volume 3, 3.4.5, 7.2.3, 8.7)

KERNEL_CODE = 0x08
KERNEL_DATA = 0x10
USER_BASE = 0x1B  # where a 32-bit code segment would stand; there is none, so nobody can leave 64-bit mode
USER_DATA = 0x23  # USER_BASE + 8 and + 16 are what `sysret` loads
USER_CODE = 0x2B
TASK = 0x30


@struct(packed=True)
class TaskState:
    """The stacks that the processor switches to."""

    reserved0: u32
    ring_stacks: Array[u64, 3]  # [0]: exceptions out of ring 3
    reserved1: u64
    interrupt_stacks: Array[u64, 7]  # [0]: "IST1"
    reserved2: u64
    reserved3: u16
    port_map: u16  # beyond the limit: no port is allowed to ring 3


@struct(packed=True)
class TablePointer:
    limit: u16
    base: u64


@bits(u64)
class TaskDescriptor:
    """The low half; the high half is the base's upper 32 bits."""

    limit: u64 = field(0, 15)
    base_low: u64 = field(16, 39)
    kind: u64 = field(40, 43)  # 9: 64-bit task state, available
    present: bool = field(47)
    base_high: u64 = field(56, 63)


descriptors: Array[u64, 8] = aligned(
    64, Array[u64, 8]([0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF, 0, 0])
)
task_state: TaskState = aligned(64, TaskState())


def load_descriptors(exception_stack: u64, interrupt_stack: u64, fatal_stack: u64) -> None:
    """Loads the descriptor table and the task register. The stacks, by their upper ends: of exceptions, IST1, IST2."""
    task_state.ring_stacks[0] = exception_stack
    task_state.interrupt_stacks[0] = interrupt_stack
    task_state.interrupt_stacks[1] = fatal_stack
    task_state.port_map = u16(sizeof(TaskState))
    base = u64(addr(task_state))
    low = TaskDescriptor(
        limit=sizeof(TaskState) - 1, base_low=base & 0xFFFFFF, kind=9, present=True, base_high=base >> 24 & 0xFF
    )
    descriptors[6] = low.raw
    descriptors[7] = base >> 32
    pointer = TablePointer(limit=63, base=u64(addr(descriptors)))
    asm("lgdt [rdi]", "{rdi},~{memory}", u64(addr(pointer)))
    asm("xor eax, eax; lldt ax; mov eax, {TASK}; ltr ax", "~{rax},~{memory},~{flags}")


def enable_system_calls(entry: u64) -> None:
    """`syscall` continues at `entry` with interrupts off, on the caller's stack."""
    write_msr(STAR, USER_BASE << 48 | KERNEL_CODE << 32)
    write_msr(LSTAR, entry)
    write_msr(CSTAR, entry)  # 32-bit mode, which cannot be reached
    write_msr(SFMASK, SYSCALL_CLEARS)
