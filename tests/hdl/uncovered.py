"""The lines and branches of the RTL that no simulation reaches, each with the reason; ``test_engine.py`` holds
this list to what the runs say: whatever is missed and not here fails, and what is here and reached fails too.
"""

from __future__ import annotations

FUNCTION = "Verilator counts nothing inside this function; cases_errors and cases_wakeup assert each of these causes"
LOOK_WAITS = "no case keeps the read port so busy that a look at need_wakeup has to wait for it, or is given up"

EXPLAINED: dict[tuple[str, str, str], str] = {
    ("vnc_fault.sv", "Read:     return 4'(vnc_pkg::CauseRead);", "case"): FUNCTION,
    ("vnc_fault.sv", "Write:    return 4'(vnc_pkg::CauseWrite);", "case"): FUNCTION,
    ("vnc_fault.sv", "ProdWord: return 4'(vnc_pkg::CauseProdWrite);", "case"): FUNCTION,
    ("vnc_fault.sv", "ConsWord: return 4'(vnc_pkg::CauseConsWrite);", "case"): FUNCTION,
    ("vnc_fault.sv", "default:  return 4'(vnc_pkg::CauseWakeupRead);", "case"): FUNCTION,
    (
        "vnc_index_word.sv",
        "LookAsk: if (look_ready_i) state_q <= LookWait; else if (!run_i) state_q <= Idle;",
        "if",
    ): LOOK_WAITS,
    (
        "vnc_index_word.sv",
        "LookAsk: if (look_ready_i) state_q <= LookWait; else if (!run_i) state_q <= Idle;",
        "else",
    ): LOOK_WAITS,
    (
        "vnc_planner.sv",
        "assign low  = BurstLines > 1 ? planned_q[LowW-1:0] : '0;",
        "cond_else",
    ): "a burst of one line: no build here has BurstBeats so small",
}
"""(file, text of the line, what Verilator calls the point): why no simulation reaches it."""

LINES_FLOOR = 98.0
"""Percent of lines and branches, over all modules."""

TOGGLES_FLOOR = 75.0
"""Percent of the toggles of all bits; constants, and address bits beyond the test's windows, never move."""
