"""The lines and branches of the RTL that no simulation reaches, each with the reason; ``test_engine.py`` holds
this list to what the runs say: whatever is missed and not here fails, and what is here and reached fails too.
"""

from __future__ import annotations

EXPLAINED: dict[tuple[str, str, str], str] = {}
"""(file, text of the line, what Verilator calls the point): why no simulation reaches it."""

LINES_FLOOR = 99.0
"""Percent of lines and branches, over all modules."""

TOGGLES_FLOOR = 75.0
"""Percent of the toggles of all bits; constants, and address bits beyond the test's windows, never move."""
