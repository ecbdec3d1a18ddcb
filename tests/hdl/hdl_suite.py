"""Which cases there are and how each is run; found by reading the files, so none can be forgotten."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

MODULES = (
    "cases_moving",
    "cases_sizes",
    "cases_places",
    "cases_errors",
    "cases_responses",
    "cases_side",
    "cases_reset",
    "cases_hostile",
    "cases_registers",
    "cases_interrupts",
    "cases_wakeup",
    "cases_timeout",
)
"""Files of cases that ``test_engine.py`` runs at every width, calm and stalled."""

WIDTHS = (64, 128, 256, 512)
COVERED_WIDTH = 64
"""Its runs count which lines and bits of the RTL they reach."""
STALLS = ("calm", "stalled")
"""calm: every channel answers at once; stalled: idle cycles and back-pressure on each, drawn from the seed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One case at one data width with one kind of surroundings."""

    module: str
    case: str
    width: int
    stall: str

    @property
    def name(self) -> str:
        return f"{self.case}-w{self.width}-{self.stall}"


@functools.cache
def cases(module: str) -> tuple[str, ...]:
    """The names of the functions of ``module`` that are ``@cocotb.test(...)``."""
    tree = ast.parse((HERE / f"{module}.py").read_text())
    found = tuple(
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(mark).startswith("cocotb.test") for mark in node.decorator_list)
    )
    assert found, f"{module}.py has no cases"
    return found


def runs(
    modules: tuple[str, ...] = MODULES, widths: tuple[int, ...] = WIDTHS, stalls: tuple[str, ...] = STALLS
) -> list[Run]:
    """Every case of ``modules`` at every width, calm and stalled; width by width, because each is a build."""
    return [
        Run(module, case, width, stall)
        for width in widths
        for module in modules
        for case in cases(module)
        for stall in stalls
    ]


def always(run: Run) -> bool:
    """Is ``run`` part of every test run?  The campaign has them all.

    Each case runs calm and stalled at 64 bit, and stalled at one of the three wider ones.
    """
    if run.width == COVERED_WIDTH:
        return True
    wider = WIDTHS[1:]
    return run.stall == "stalled" and run.width == wider[cases(run.module).index(run.case) % len(wider)]
