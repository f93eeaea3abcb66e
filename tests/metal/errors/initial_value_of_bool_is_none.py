# SPDX-License-Identifier: MIT
ready: bool = None  # type: ignore[assignment]


def main() -> bool:
    global ready
    ready = not ready
    return ready
