"""The DMA engine in simulation: Verilator, cocotb, and memories that reorder, stall and fail.

Each case is a function of one of the files in ``hdl_suite.MODULES`` and says what it shows.  VNETCARD_SEED
repeats a run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.hdl import hdl_build, hdl_coverage, hdl_suite, uncovered
from tests.hdl.hdl_jobs import Builds, Jobs

# A machine may be slow, and a run waits for the build of its width and for the run before it.
pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("width", hdl_suite.WIDTHS)
def test_lint_has_nothing_to_say(verilator: str, width: int) -> None:
    said = hdl_build.lint(verilator, DataW=width)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("DataW", 96, "DataW must be"), ("BurstBeats", 4, "BurstBeats must be"), ("ReadsMax", 3, "ReadsMax must be")],
)
def test_impossible_parameter_ends_elaboration(verilator: str, name: str, value: int, why: str) -> None:
    said = hdl_build.lint(verilator, **{name: value})
    assert said.returncode != 0
    assert why in said.stderr


def marked(run: hdl_suite.Run) -> ParameterSet:
    """What is not run always belongs to the campaign."""
    return pytest.param(run, id=run.name, marks=() if hdl_suite.always(run) else pytest.mark.campaign)


@pytest.mark.parametrize("run", [marked(run) for run in hdl_suite.runs()])
def test_engine(jobs: Jobs, run: hdl_suite.Run) -> None:
    hdl_build.show(jobs.result(run))


@pytest.fixture(scope="module")
def points(jobs: Jobs, builds: Builds) -> hdl_coverage.Points:
    """What all runs at 64 bit have reached together; VNETCARD_COVERAGE names a file for the report."""
    runs = [run for run in hdl_suite.runs(widths=(hdl_suite.COVERED_WIDTH,)) if jobs.knows(run)]
    assert len(runs) == len(hdl_suite.runs(widths=(hdl_suite.COVERED_WIDTH,))), (
        "coverage is that of the whole suite: run tests/hdl/test_engine.py without choosing cases"
    )
    files = [builds.folder / f"w{run.width}-{run.case}-{run.stall}.dat" for run in runs if not jobs.result(run).why]
    found = hdl_coverage.read(files, hdl_build.RTL)
    said = hdl_coverage.report(found, hdl_build.RTL)
    print(said)
    if place := os.environ.get("VNETCARD_COVERAGE"):
        Path(place).write_text(said)
    return found


def test_every_line_is_covered_or_explained(points: hdl_coverage.Points) -> None:
    never = {(miss.file, miss.text, miss.what): miss for miss in hdl_coverage.missed(points, hdl_build.RTL)}
    new = [str(miss) for key, miss in never.items() if key not in uncovered.EXPLAINED]
    assert not new, "never reached, and tests/hdl/uncovered.py does not say why"
    old = [key for key in uncovered.EXPLAINED if key not in never]
    assert not old, "tests/hdl/uncovered.py explains what is reached, or is no more"


def test_coverage_is_above_its_floor(points: hdl_coverage.Points) -> None:
    assert hdl_coverage.share(points, toggles=False).percent >= uncovered.LINES_FLOOR
    assert hdl_coverage.share(points, toggles=True).percent >= uncovered.TOGGLES_FLOOR
