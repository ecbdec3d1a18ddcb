"""Bugs seeded into the RTL, one at a time: the suite must detect each (``mutations.py``; ``make hdl-mutations``)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from tests.hdl import build, suite
from tests.hdl.jobs import WORKERS
from tests.hdl.mutants import Mutation, Verdict, order, try_mutant
from tests.hdl.mutations import MUTATIONS

pytestmark = pytest.mark.hdl

Verdicts = dict[str, Future[Verdict]]

NOTHING = Mutation("no bug", "module vnc_dma_top #(", "module vnc_dma_top #(", "nothing")
"""The control: the suite must pass on the unchanged RTL."""


def test_there_are_forty_mutations_with_unique_names() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names) >= 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_applies_to_the_rtl(mutation: Mutation) -> None:
    """The text of the mutation occurs exactly once, and its killers exist."""
    mutation.place(build.RTL)
    assert mutation.old != mutation.new
    assert order(mutation)


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """The verdicts of all selected mutations, run in parallel; prints a table at the end.

    VNETCARD_MUTATIONS names a file for the table.
    """
    folder = tmp_path_factory.mktemp("mutants")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(WORKERS) as pool:
        build.use_verilator(patch)
        began = time.monotonic()
        wanted: list[Mutation] = [
            cast("Mutation", item.callspec.params["mutant"])
            for item in request.session.items
            if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "mutant" in item.callspec.params
        ]
        parent = build.build(folder / "as_it_is", suite.COVERED_WIDTH, build.QUICK)
        started = {
            mutation.name: pool.submit(try_mutant, mutation, _made(folder / str(n)), parent)
            for n, mutation in enumerate(wanted)
        }
        yield started
        pool.shutdown(cancel_futures=True)
        said = f"{table(wanted, started)}\n{(time.monotonic() - began) / 60:.0f} minutes on {WORKERS} processors\n"
        print(f"\n{said}")
        if place := os.environ.get("VNETCARD_MUTATIONS"):
            Path(place).write_text(said)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def table(wanted: list[Mutation], verdicts: Verdicts) -> str:
    """Return a table of name, seconds and killer of each mutation, and the number of killed ones."""
    bugs = [mutation for mutation in wanted if mutation is not NOTHING]
    width = max(len(mutation.name) for mutation in wanted)
    rows, killed = [], 0
    for mutation in wanted:
        future = verdicts[mutation.name]
        if future.cancelled() or future.exception():
            rows.append(f"{mutation.name:{width}}  {'':4}  no verdict")
            continue
        verdict = future.result()
        killed += mutation is not NOTHING and bool(verdict.killer)
        reason = f"survives: {mutation.survives}" if mutation.survives else "survived"
        rows.append(f"{mutation.name:{width}}  {verdict.seconds:4.0f}  {verdict.killer or reason}")
    return "\n".join([*rows, f"killed {killed} of {len(bugs)}"])


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mutant", [NOTHING, *MUTATIONS], ids=lambda mutation: mutation.name)
def test_suite_kills_the_mutant(verdicts: Verdicts, mutant: Mutation) -> None:
    verdict = verdicts[mutant.name].result()
    if mutant is NOTHING:
        assert not verdict.killer, f"the unchanged RTL fails {verdict.killer}: the verdicts on the mutants are void"
    elif mutant.survives:
        assert not verdict.killer, f"listed as a survivor, but {verdict.killer} kills it: remove its reason to survive"
    else:
        assert verdict.killer, f"not detected in {verdict.runs} runs: {mutant.breaks}"
