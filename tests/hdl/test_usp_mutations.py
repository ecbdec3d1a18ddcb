"""Bugs seeded into the UltraScale+ bridge, one at a time: its cases must detect each (`make campaign`)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hdl import build, suite, usp_build
from tests.hdl.mutants import SEED, Mutation, Verdict, inherit
from tests.hdl.mutations_usp import MUTATIONS
from tests.hdl.usp_build import BRIDGE

pytestmark = pytest.mark.hdl

MODULES = ("cases_usp_registers", "cases_usp_writes", "cases_usp_reads")
NOTHING = Mutation("no bug", "module vnc_usp_bridge #(", "module vnc_usp_bridge #(", "nothing")
"""The control: the cases must pass on the unchanged RTL."""


def order(mutation: Mutation) -> list[tuple[str, str]]:
    """Return module and case of every run, the expected killers first."""
    runs = [(module, case) for module in MODULES for case in suite.cases(module)]
    assert {case for _, case in runs} >= set(mutation.killers), f"{mutation.name}: no such case"
    return sorted(runs, key=lambda run: run[1] not in mutation.killers)


def try_mutant(mutation: Mutation, folder: Path, parent: Path) -> Verdict:
    """Build the mutant beside ``parent``, the build of the unchanged RTL, and run the cases until one fails."""
    began = time.monotonic()
    rtl = shutil.copytree(build.RTL, folder / "rtl")
    place = mutation.place(rtl / "usp")
    place.write_text(place.read_text().replace(mutation.old, mutation.new))
    inherit(parent, folder / "sim")
    built = usp_build.compile_(folder / "sim", BRIDGE, 256, build.QUICK, rtl)
    for runs, (module, case) in enumerate(order(mutation), 1):
        outcome = build.simulate(
            built, case, module=module, seed=SEED, extra_env={"VNETCARD_STALL": "calm"}, top=BRIDGE
        )
        if outcome.why:
            return Verdict(case, time.monotonic() - began, runs)
    return Verdict("", time.monotonic() - began, runs)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A build of the unchanged RTL.  VNETCARD_MUTATIONS names a file to which the verdicts are appended."""
    with pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        yield usp_build.compile_(tmp_path_factory.mktemp("parent") / "sim", BRIDGE, 256, build.QUICK)


def test_mutations_have_unique_names() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 8


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_applies_to_the_rtl(mutation: Mutation) -> None:
    """The text of the mutation occurs exactly once, and its killers exist."""
    mutation.place(build.RTL / "usp")
    assert mutation.old != mutation.new
    assert order(mutation)


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", [NOTHING, *MUTATIONS], ids=lambda mutation: mutation.name)
def test_cases_kill_the_mutant(parent: Path, mutant: Mutation, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        verdict = try_mutant(mutant, tmp_path, parent)
    if place := os.environ.get("VNETCARD_MUTATIONS"):
        with Path(place).open("a") as table:
            table.write(f"{mutant.name:45}  {verdict.seconds:4.0f}  {verdict.killer or 'survived'}\n")
    if mutant is NOTHING:
        assert not verdict.killer, f"the unchanged RTL fails {verdict.killer}: the other verdicts are void"
    else:
        assert verdict.killer, f"not detected in {verdict.runs} runs: {mutant.breaks}"
