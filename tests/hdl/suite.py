"""List the cases and how each is run; the cases are found by parsing the files, so that none is omitted."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
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
    "cases_ordering",
)
"""Modules of cases that ``test_engine.py`` runs at every width, calm and stalled."""

MODULES_OF = {"decoupler": ("cases_decoupler",), "card": ("cases_card",)}
"""Modules of cases of the other designs in ``build.DESIGNS``, which ``test_decoupler.py`` runs."""

WIDTHS = (64, 128, 256, 512)
LONG_AT_512 = (
    "record_of_every_size_arrives",
    "random_doorbells_match_the_model",
    "random_doorbells_match_the_model_under_stalls",
    "indices_wrap_at_2_to_the_32",
    "unresponsive_memory_halts_and_a_late_answer_recovers",
)
"""Cases that take minutes at 512 bit: each has a process of its own."""
LONG_STALLED = (
    "random_doorbells_match_the_model",
    "random_doorbells_match_the_model_under_stalls",
    "hostile_register_writes_stay_inside_the_window",
    "invalid_index_halts_the_direction",
    "reset_in_mid_burst_drains_and_restarts",
)
"""Cases that take long stalled: each has a process of its own."""
CALM_ONLY = ("unresponsive_memory_halts_and_a_late_answer_recovers",)
"""Cases that take minutes stalled: only the campaign runs them so."""
COVERED_WIDTH = 64
"""The width whose runs record coverage of the RTL."""
MOST_TOGETHER = 6
"""Cases in one process: more would leave a processor idle at the end."""
Parameters = tuple[tuple[str, int], ...]
"""Parameters of the engine besides its data width, by name."""
OTHER_PARAMETERS: tuple[tuple[int, Parameters], ...] = (
    (64, (("BurstBeats", 8),)),
    (64, (("BurstBeats", 16), ("ReadsMax", 2))),
    (64, (("BurstBeats", 256), ("ReadsMax", 64))),
    (512, (("BurstBeats", 8), ("ReadsMax", 64))),
    (512, (("BurstBeats", 256),)),  # 4 KiB limits bursts to 64 beats
)
"""Data widths and parameters other than the default ones, with which the campaign runs every case stalled."""
STALLS = ("calm", "stalled")
"""calm: every channel is ready at once; stalled: random idle cycles and back-pressure on every channel."""


@dataclass(frozen=True, slots=True)
class Run:
    """One case at one data width, calm or stalled; ``parameters`` are those that are not the default ones."""

    module: str
    case: str
    width: int
    stall: str
    parameters: Parameters = ()

    @property
    def name(self) -> str:
        return "-".join(
            (self.case, f"w{self.width}", self.stall, *(f"{name}{value}" for name, value in self.parameters))
        )

    @property
    def process(self) -> tuple[object, ...]:
        """Runs for which this is equal can share a process."""
        return self.module, self.width, self.stall, self.parameters


@functools.cache
def cases(module: str) -> tuple[str, ...]:
    """Return the names of the functions of ``module`` that are decorated with ``@cocotb.test(...)``."""
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
    """Return every case of ``modules`` at every width, calm and stalled; ordered by width, as each width is a build."""
    return [
        Run(module, case, width, stall)
        for width in widths
        for module in modules
        for stall in stalls
        for case in cases(module)
    ]


def other_runs() -> list[Run]:
    """Return every case stalled with each of ``OTHER_PARAMETERS``."""
    return [
        Run(module, case, width, "stalled", parameters)
        for width, parameters in OTHER_PARAMETERS
        for module in MODULES
        for case in cases(module)
        if case not in (*LONG_AT_512, *CALM_ONLY)
    ]


def together(wanted: Iterable[Run]) -> list[list[Run]]:
    """Return ``wanted`` in its order, in groups that share a process: short cases of one module, width and stall."""
    groups: list[list[Run]] = []
    for run in wanted:
        last = groups[-1][-1] if groups else None
        alike = last is not None and last.process == run.process
        if alike and last is not None and is_short(run) and is_short(last) and len(groups[-1]) < MOST_TOGETHER:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def is_short(run: Run) -> bool:
    """Return whether ``run`` takes seconds."""
    return run.module in MODULES and run.case not in (*LONG_AT_512, *LONG_STALLED)


def always(run: Run) -> bool:
    """Return whether ``run`` is part of `make test`: each case at 64 bit, stalled; the campaign has all runs.

    One case is there with bursts that 4 KiB limits as well.
    """
    if run.parameters:
        return (
            run.width == 512
            and run.case == "caps_names_the_longest_burst"
            and dict(run.parameters)["BurstBeats"] == 256
        )
    return run.width == COVERED_WIDTH and run.stall == ("calm" if run.case in CALM_ONLY else "stalled")
