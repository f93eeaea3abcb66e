# SPDX-License-Identifier: MIT
"""The workstation's side: images, the virtual machine, the debugger, benchmarks and the command line."""
