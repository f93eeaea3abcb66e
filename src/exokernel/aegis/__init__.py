# SPDX-License-Identifier: MIT
"""Aegis, the exokernel: it protects the machine's resources and manages none. One file per exported resource."""
