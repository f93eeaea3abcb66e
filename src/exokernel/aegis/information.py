# SPDX-License-Identifier: MIT
"""The book-keeping that every environment may read: the system page. Each owner of a resource keeps its part of it up
to date.
"""

from exokernel.aegis.abi import SystemPage
from exokernel.metal import aligned

page: SystemPage = aligned(4096, SystemPage())
