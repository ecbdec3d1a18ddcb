"""The lines and branches of the RTL that no simulation reaches, each with the reason.

``test_engine.py`` fails for an uncovered line that is not listed, and for a listed line that is reached.
"""

from __future__ import annotations

EXPLAINED: dict[tuple[str, str, str], str] = {}
"""(file, text of the line, Verilator's name of the point): why no simulation reaches it."""

LINES_FLOOR = 99.0
"""Percent of lines and branches, over all modules."""

TOGGLES_FLOOR = 75.0
"""Percent of the toggles of all bits; constants, and address bits above the windows of the tests, never toggle."""
