# SPDX-License-Identifier: MIT
"""Program cases of the dialect, grouped by feature; `casebook` explains the notation, `test_cases.py` runs them."""
