"""Bugs seeded into the stream port, one at a time: a case of ``test_stream.py`` must detect each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from tests.hdl import build, suite
from tests.hdl.jobs import WORKERS
from tests.hdl.mutants import SEED, Mutation
from tests.hdl.mutations_stream import PORT_ALONE, WHOLE_CARD
from tests.hdl.test_stream import DESIGNS

pytestmark = pytest.mark.hdl

MUTATIONS = {mutation.name: mutation for mutation in (*PORT_ALONE, *WHOLE_CARD)}
NOTHING = Mutation("no bug", "module vnc_stream_port #(", "module vnc_stream_port #(", "nothing", file="stream/*.sv")


def module_of(mutation: Mutation) -> str:
    return "cases_stream_card" if mutation in WHOLE_CARD else "cases_stream"


def try_mutant(mutation: Mutation, folder: Path) -> str:
    """Build the mutant and run the cases, the expected killers first, until one fails; return it, or nothing."""
    module = module_of(mutation)
    design = DESIGNS[module]
    rtl = mutation.apply(build.RTL, folder / "rtl")
    built = build.build(folder / "sim", 64, build.QUICK, rtl, design)
    for case in sorted(suite.cases(module), key=lambda case: case not in mutation.killers):
        for stall in suite.STALLS:
            env = {"VNETCARD_STALL": stall}
            label = f"-{stall}"
            said = build.simulate(built, case, module=module, label=label, seed=SEED, extra_env=env, top=design.top)
            if said.why:
                return f"{case} ({stall})"
    return ""


@pytest.fixture(scope="module")
def killers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """The verdict on each selected mutant; VNETCARD_STREAM_MUTATIONS names a file for the table."""
    folder = tmp_path_factory.mktemp("mutants")
    wanted: list[Mutation] = [
        cast("Mutation", item.callspec.params["mutant"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "mutant" in item.callspec.params
    ]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(WORKERS) as pool:
        build.use_verilator(patch)
        started = {}
        for number, mutant in enumerate(wanted):
            (folder / str(number)).mkdir()
            started[mutant.name] = pool.submit(try_mutant, mutant, folder / str(number))
        yield started
        pool.shutdown(cancel_futures=True)
        done = {name: future for name, future in started.items() if not future.cancelled() and not future.exception()}
        said = "".join(f"{name:42}  {future.result() or 'survived'}\n" for name, future in done.items())
        print(f"\n{said}")
        if place := os.environ.get("VNETCARD_STREAM_MUTATIONS"):
            Path(place).write_text(said)


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=lambda mutation: mutation.name)
def test_mutation_applies_to_the_rtl(mutation: Mutation) -> None:
    """The text of the mutation occurs exactly once, and its killers exist."""
    mutation.place(build.RTL)
    assert mutation.old != mutation.new
    assert set(mutation.killers) <= set(suite.cases(module_of(mutation)))


def test_names_of_mutations_are_unique() -> None:
    assert len(MUTATIONS) == len(PORT_ALONE) + len(WHOLE_CARD)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mutant", [NOTHING, *MUTATIONS.values()], ids=lambda mutation: mutation.name)
def test_cases_kill_the_mutant(killers: dict[str, Future[str]], mutant: Mutation) -> None:
    killer = killers[mutant.name].result()
    if mutant is NOTHING:
        assert not killer, f"the unchanged RTL fails {killer}: the verdicts on the mutants are void"
    else:
        assert killer, f"not detected: {mutant.breaks}"
