# SPDX-License-Identifier: MIT
"""The PC's mechanisms, without policy: boot, processor, page tables, interrupts, timer, serial port, virtio."""
