"""The corpora alone: each input of each harness and parser once, and which lines of the C core they reach."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

import pytest

from tests.fuzz import build, corpora, coverage, samples, scripts
from tests.fuzz.parsers import PARSERS
from tests.fuzz.search import attempt, search
from tests.unit.c_build import ASAN, CORE

MUTATIONS = 300
"""Mutations of the corpus of each parser: always the same ones, so that this is a test and not a search."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the programs said, by harness, and the coverage of all together."""

    outcomes: dict[str, subprocess.CompletedProcess[str]]
    covered: dict[str, coverage.Covered]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    folder = tmp_path_factory.mktemp("replay")
    builder = build.replayer(folder, flags=(*ASAN, "-O0", *coverage.FLAGS))
    outcomes = {}
    for harness in build.HARNESSES:
        program = builder.program(harness, "replay.c")
        inputs = corpora.unpack(corpora.load(harness), folder / "inputs" / harness)
        outcomes[harness] = subprocess.run(
            [program, *inputs], capture_output=True, text=True, timeout=120, check=False,
            env=os.environ | build.ENVIRONMENT,
        )  # fmt: skip
    return Replayed(outcomes, coverage.measure(folder, CORE))


@pytest.mark.slow
@pytest.mark.parametrize("harness", build.HARNESSES)
def test_core_survives_the_corpus(replayed: Replayed, harness: str) -> None:
    outcome = replayed.outcomes[harness]
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert outcome.stdout == f"{len(corpora.load(harness))} inputs ok\n"


@pytest.mark.slow
def test_corpora_reach_the_lines_of_the_core(replayed: Replayed) -> None:
    """Prints a table (``make coverage``)."""
    print(f"\n{coverage.table(replayed.covered)}")
    for name in coverage.JUDGED:
        found = replayed.covered[name]
        assert found.percent >= coverage.FLOOR, "\n".join(found.missed())


@pytest.mark.parametrize("name", PARSERS)
def test_parser_survives_its_corpus(name: str) -> None:
    for data in corpora.load(name).values():
        attempt(name, data)


@pytest.mark.parametrize("name", PARSERS)
def test_parser_survives_changes_of_its_corpus(name: str) -> None:
    assert search(name, 1, inputs=MUTATIONS, guided=False)[0] == MUTATIONS


@pytest.mark.parametrize("name", PARSERS)
def test_real_input_is_accepted(name: str) -> None:
    """Else its mutations would search behind a closed door."""
    assert any(attempt(name, data) for data in samples.SAMPLES[name]().values())


@pytest.mark.parametrize("harness", build.HARNESSES)
def test_written_inputs_are_in_the_corpus(harness: str) -> None:
    known = corpora.load(harness)
    written = scripts.SCRIPTS[harness]()
    assert {name for name in written if known.get(name) != written[name]} == set(), "run python -m tests.fuzz.scripts"


def test_corpora_stay_small() -> None:
    sizes = {path.stem: path.stat().st_size for path in corpora.CORPUS.iterdir()}
    assert sizes.keys() == {*build.HARNESSES, *PARSERS}
    assert sum(sizes.values()) < corpora.BYTES_MAX
