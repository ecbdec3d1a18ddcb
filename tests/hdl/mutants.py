"""Make a mutant, a copy of the RTL with one bug, and run the suite on it until a case fails."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.hdl import build, suite

SEED = "1"
"""The seed of every mutant's runs, so that a run can be repeated; VNETCARD_SEED overrides it."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One bug: ``old``, which must occur exactly once in the RTL, is replaced by ``new``."""

    name: str
    old: str
    new: str
    breaks: str  # the consequence, in words
    killers: tuple[str, ...] = ()  # cases that are expected to detect it; they run first
    file: str = ""  # the file of ``old``; needed only when several files contain it
    survives: str = ""  # why no case can detect it; empty: the suite must
    width: int = 64  # data width; another value where 64 bit cannot show the bug
    bench: str = build.ENGINE.name  # of build.DESIGNS

    def place(self, rtl: Path) -> Path:
        """Return the file that contains ``old``; raises AssertionError unless it occurs exactly once."""
        found = [
            path
            for path in sorted(rtl.glob(self.file or "*.sv"))
            if path.name != "vnc_pkg.sv"
            for _ in range(path.read_text().count(self.old))
        ]
        assert len(found) == 1, (
            f"{self.name}: the text occurs in {[path.name for path in found] or 'no file'}: {self.old!r}"
        )
        return found[0]

    def apply(self, rtl: Path, folder: Path) -> Path:
        """Copy ``rtl`` to ``folder`` with the bug applied."""
        place = self.place(rtl)
        shutil.copytree(rtl, folder)
        text = place.read_text()
        (folder / place.relative_to(rtl)).write_text(text.replace(self.old, self.new))
        return folder


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one mutant; ``killer`` is empty when it survived."""

    killer: str
    seconds: float
    runs: int


def order(mutation: Mutation) -> list[tuple[str, str, str]]:
    """Return module, case and stall of every run: the expected killers first, then all others.

    For a mutation that is listed as surviving only the expected killers are run.
    """
    modules = suite.MODULES_OF.get(mutation.bench, suite.MODULES)
    runs = [(module, case, stall) for stall in suite.STALLS for module in modules
             for case in suite.cases(module)]  # fmt: skip
    names = {case for _, case, _ in runs}
    assert names >= set(mutation.killers), f"{mutation.name}: no such case: {set(mutation.killers) - names}"
    if mutation.survives:
        return [run for run in runs if run[1] in mutation.killers]
    return sorted(runs, key=lambda run: run[1] not in mutation.killers)


def inherit(parent: Path, folder: Path) -> None:
    """Copy Verilator's own library, which all builds share; without it a build takes twice as long."""
    folder.mkdir(parents=True)
    later = time.time() + 3600  # must be newer than the makefile that the build writes
    for file in parent.glob("verilated*.[od]"):
        os.utime(shutil.copy(file, folder), (later, later))


def try_mutant(mutation: Mutation, folder: Path, parent: Path) -> Verdict:
    """Build the mutant beside ``parent``, the build of the unchanged RTL, and run the suite until a case fails."""
    began = time.monotonic()
    rtl = mutation.apply(build.RTL, folder / "rtl")
    inherit(parent, folder / "sim")
    design = build.DESIGNS[mutation.bench]
    built = build.build(folder / "sim", mutation.width, build.QUICK, rtl, design)
    runs = 0
    for module, case, stall in order(mutation):
        runs += 1
        outcome = build.simulate(
            built,
            case,
            module=module,
            label=f"-{stall}",
            seed=SEED,
            extra_env={"VNETCARD_STALL": stall, "VNETCARD_TRIALS": "20"},
            top=design.top,
        )
        if outcome.why:
            return Verdict(f"{case} ({stall})", time.monotonic() - began, runs)
    return Verdict("", time.monotonic() - began, runs)
