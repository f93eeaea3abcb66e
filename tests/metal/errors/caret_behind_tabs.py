# SPDX-License-Identifier: MIT
from exokernel.metal import u32


# fmt: off
def main(a: u32) -> u32:
	if a:	return a / 2
	return a
