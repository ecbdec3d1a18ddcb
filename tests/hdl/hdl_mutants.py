"""Makes a mutant: a copy of the RTL with one bug in it, which the suite is to kill."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.hdl import hdl_build, hdl_suite

SEED = "1"
"""The same doorbells and stalls for each mutant, so that a run can be repeated; VNETCARD_SEED overrides it."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One bug: ``old``, which must be found exactly once in the RTL, becomes ``new``."""

    name: str
    old: str
    new: str
    breaks: str  # what goes wrong in words
    killers: tuple[str, ...] = ()  # cases that are expected to see it; they run first
    file: str = ""  # where ``old`` is; needed only when it is in several files
    survives: str = ""  # why nothing can see it; empty: the suite must
    width: int = 64  # of data: another one where 64 bit cannot show it

    def place(self, rtl: Path) -> Path:
        """The file with ``old`` in it; AssertionError unless it is there exactly once."""
        found = [
            path
            for path in sorted(rtl.glob(self.file or "*.sv"))
            if path.name != "vnc_pkg.sv"
            for _ in range(path.read_text().count(self.old))
        ]
        assert len(found) == 1, (
            f"{self.name}: the text is in {[path.name for path in found] or 'no file'}: {self.old!r}"
        )
        return found[0]

    def apply(self, rtl: Path, folder: Path) -> Path:
        """Copy ``rtl`` to ``folder`` with the bug in it."""
        place = self.place(rtl)
        shutil.copytree(rtl, folder)
        text = place.read_text()
        (folder / place.name).write_text(text.replace(self.old, self.new))
        return folder


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a mutant fared; ``killer`` is empty when it survived."""

    killer: str
    seconds: float
    runs: int


def order(mutation: Mutation) -> list[tuple[str, str, str]]:
    """Module, case and surroundings of every run: the expected killers first, then all the others.

    Of a mutation that survives, whose reason says that it changes nothing, only those that would see it first.
    """
    suite = [(module, case, stall) for stall in hdl_suite.STALLS for module in hdl_suite.MODULES
             for case in hdl_suite.cases(module)]  # fmt: skip
    names = {case for _, case, _ in suite}
    assert names >= set(mutation.killers), f"{mutation.name}: no such case: {set(mutation.killers) - names}"
    if mutation.survives:
        return [run for run in suite if run[1] in mutation.killers]
    return sorted(suite, key=lambda run: run[1] not in mutation.killers)


def inherit(parent: Path, folder: Path) -> None:
    """Take over what all builds have in common, Verilator's own library; without it a build takes twice as long."""
    folder.mkdir(parents=True)
    later = time.time() + 3600  # make wants it newer than the build's makefile, which is still to come
    for file in parent.glob("verilated*.[od]"):
        os.utime(shutil.copy(file, folder), (later, later))


def try_mutant(mutation: Mutation, folder: Path, parent: Path) -> Verdict:
    """Build the mutant beside ``parent``, the build of the RTL as it is, and run the suite on it until a case fails."""
    began = time.monotonic()
    rtl = mutation.apply(hdl_build.RTL, folder / "rtl")
    inherit(parent, folder / "sim")
    built = hdl_build.build(folder / "sim", mutation.width, hdl_build.QUICK, rtl)
    runs = 0
    for module, case, stall in order(mutation):
        runs += 1
        outcome = hdl_build.simulate(
            built, case, module=module, label=f"-{stall}", seed=SEED, extra_env={"VNETCARD_STALL": stall}
        )
        if outcome.why:
            return Verdict(f"{case} ({stall})", time.monotonic() - began, runs)
    return Verdict("", time.monotonic() - began, runs)
