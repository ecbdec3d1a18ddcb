"""Bugs planted in the C core, one at a time: the corpora must find each, and must not blame the core as it is.

`make test` plants the first bug of each harness, the campaign all of them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fuzz import build, corpora
from tests.fuzz.mutations import MUTATIONS, Mutation
from tests.unit.c_build import CORE

pytestmark = pytest.mark.slow

UNCHANGED = ("fuzz.c", "no_port.c", "replay.c")
"""Sources that use nothing of the core but its constants: they are compiled once for all."""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What all runs share: compiled sources and the corpora's files."""

    folder: Path
    shared: build.Builder
    inputs: dict[str, list[Path]]

    def failure(self, harness: str, core: Path, changed: str = "") -> str:
        """What the replay of a corpus says with ``core``, whose ``changed`` file differs; empty when it passes."""
        builder = build.replayer(core, core=core)
        for name in (*build.HARNESSES[harness], *build.COMMON, "replay.c"):
            if name in UNCHANGED or (changed.endswith(".c") and name != changed):
                builder.use(name, self.shared.compiled(name))
        program = builder.program(harness, "replay.c")
        done = subprocess.run(
            [program, *self.inputs[harness]],
            capture_output=True, text=True, timeout=120, check=False, env=os.environ | build.ENVIRONMENT,
        )  # fmt: skip
        return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    folder = tmp_path_factory.mktemp("mutants")
    inputs = {name: corpora.unpack(corpora.load(name), folder / "inputs" / name) for name in build.HARNESSES}
    return Laboratory(folder, build.replayer(folder), inputs)


def test_there_are_twenty_mutations_with_unique_names() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names) >= 20
    assert {mutation.harness for mutation in MUTATIONS} == set(build.HARNESSES)


@pytest.mark.campaign
@pytest.mark.parametrize("harness", build.HARNESSES)
def test_harness_passes_on_the_core_as_it_is(laboratory: Laboratory, harness: str, tmp_path: Path) -> None:
    """The control of the test below: without it a harness that always fails would find everything."""
    core = Mutation("nothing", harness, "vnc_ring.h", "#ifndef VNC_RING_H", "#ifndef VNC_RING_H").apply(
        CORE, tmp_path / "core"
    )
    assert not laboratory.failure(harness, core, "replay.c")


def planted() -> Iterator[object]:
    """The mutations as parameters, those after the first of a harness marked as campaign."""
    seen: set[str] = set()
    for mutation in MUTATIONS:
        marks = [pytest.mark.campaign] if mutation.harness in seen else []
        yield pytest.param(mutation, id=mutation.name, marks=marks)
        seen.add(mutation.harness)


@pytest.mark.parametrize("mutation", list(planted()))
def test_corpus_finds_the_planted_bug(laboratory: Laboratory, mutation: Mutation, tmp_path: Path) -> None:
    core = mutation.apply(CORE, tmp_path / "core")
    said = laboratory.failure(mutation.harness, core, mutation.file)
    assert said, "no input of the corpus finds it: see tests/fuzz/README.md"
    print(said[-1500:])
