# SPDX-License-Identifier: MIT
"""Lets the tests of the language import `casebook` and the packages of cases beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
