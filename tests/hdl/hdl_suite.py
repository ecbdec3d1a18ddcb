"""Which cases there are and how each is run; found by reading the files, so none can be forgotten."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

MODULES = (
    "cases_moving",
    "cases_sizes",
    "cases_places",
    "cases_errors",
    "cases_side",
    "cases_reset",
    "cases_hostile",
    "cases_registers",
    "cases_interrupts",
)
"""Files of cases that ``test_engine.py`` runs at every width, calm and stalled."""

SWEEPS = ()
"""Files of long ones, for the campaign."""

WIDTHS = (64, 128, 256, 512)
COVERED_WIDTH = 64
"""Its runs count which lines and bits of the RTL they reach."""
STALLS = ("calm", "stalled")
"""calm: every channel answers at once; stalled: idle cycles and back-pressure on each, drawn from the seed."""

ALWAYS = {(64, "calm"), (64, "stalled"), (128, "stalled"), (256, "calm"), (512, "stalled")}
"""Surroundings of each case in every test run; the campaign has them all."""


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


def cases(module: str) -> list[str]:
    """The names of the functions of ``module`` that are ``@cocotb.test(...)``."""
    tree = ast.parse((HERE / f"{module}.py").read_text())
    found = [
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(mark).startswith("cocotb.test") for mark in node.decorator_list)
    ]
    assert found, f"{module}.py has no cases"
    return found


def runs(modules: tuple[str, ...] = MODULES, widths: tuple[int, ...] = WIDTHS) -> list[Run]:
    """Every case of ``modules`` at every width, calm and stalled; width by width, because each is a build."""
    return [
        Run(module, case, width, stall)
        for width in widths
        for module in modules
        for case in cases(module)
        for stall in STALLS
    ]
