# SPDX-License-Identifier: MIT
"""A network namespace of our own, in which this computer's Linux and a guest share a wire: a tap device that has an
address on Linux's side and QEMU at its other end. Needs root. Nothing outside sees any of it, and it ends with its
last process.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exokernel.host.machine import Link
from exokernel.host.terminal import Failure

NAME = "exo0"
LINUX, GUEST = "10.0.0.1", "10.0.0.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
TAP_WITHOUT_INFORMATION = 0x1002  # IFF_TAP | IFF_NO_PI


@contextmanager
def namespace() -> Iterator[Link]:
    """This thread, the processes and the sockets that it makes are in a new network namespace as long as the block lasts;
    given is the guest's end of the wire. Raises `Failure` where that is not possible.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    ip = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if ip is None:
        raise Failure("ip is not installed", "on Debian or Ubuntu: apt-get install iproute2")
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        raise Failure("a tap device needs root and /dev/net/tun")
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise Failure(f"network namespaces are not allowed here: {os.strerror(ctypes.get_errno())}")
        try:
            with open_tap() as tap:
                fcntl.ioctl(tap, TUNSETPERSIST, 1)  # until QEMU opens it
            for words in (
                ("link", "set", "lo", "up"),
                ("address", "add", f"{LINUX}/24", "dev", NAME),
                ("link", "set", NAME, "up"),
            ):
                subprocess.run([ip, *words], check=True, timeout=10)
            yield Link(tap=NAME)
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot return to the network namespace")


@contextmanager
def open_tap() -> Iterator[int]:
    """The tap device, made if it is not there, as a file from and to which frames go: instead of QEMU."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", NAME.encode(), TAP_WITHOUT_INFORMATION))
        yield tap
    finally:
        os.close(tap)
