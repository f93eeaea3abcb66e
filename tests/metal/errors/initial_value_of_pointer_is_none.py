# SPDX-License-Identifier: MIT
from exokernel.metal import Ptr, u8, u64

place: Ptr[u8] = None  # type: ignore[assignment]


def main() -> u64:
    return u64(place)
