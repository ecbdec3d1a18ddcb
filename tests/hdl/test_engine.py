"""The DMA engine in simulation: Verilator, cocotb, and memories that reorder, stall and fail.

Each case is a function in one of the modules of ``suite.MODULES``; its name states the behaviour that it checks.
VNETCARD_SEED repeats a run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.hdl import build, coverage, suite, uncovered
from tests.hdl.jobs import Jobs

# Generous, because a run waits for the build of its width and for the runs before it.
pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("width", suite.WIDTHS)
def test_verilator_lint_reports_no_warning(verilator: str, width: int) -> None:
    said = build.lint(verilator, DataW=width)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("DataW", 96, "DataW must be"), ("BurstBeats", 4, "BurstBeats must be"), ("ReadsMax", 3, "ReadsMax must be")],
)
def test_invalid_parameter_ends_elaboration(verilator: str, name: str, value: int, why: str) -> None:
    said = build.lint(verilator, **{name: value})
    assert said.returncode != 0
    assert why in said.stderr


def marked(run: suite.Run) -> ParameterSet:
    """Return the parameter of ``run``, marked as campaign unless it is part of every test run."""
    return pytest.param(run, id=run.name, marks=() if suite.always(run) else pytest.mark.campaign)


@pytest.mark.parametrize("run", [marked(run) for run in (*suite.runs(), *suite.other_runs())])
def test_engine(jobs: Jobs, run: suite.Run) -> None:
    build.show(jobs.result(run))


@pytest.fixture(scope="module")
def points(jobs: Jobs) -> coverage.Points:
    """Coverage of all cases at 64 bit together, calm and stalled; VNETCARD_COVERAGE names a file for the report."""
    runs = suite.runs(widths=(suite.COVERED_WIDTH,))
    jobs.request(runs)
    files = dict.fromkeys(jobs.result(run).coverage for run in runs if not jobs.result(run).why)
    found = coverage.read(list(files), build.RTL)
    said = coverage.report(found, build.RTL)
    print(said)
    if place := os.environ.get("VNETCARD_COVERAGE"):
        Path(place).write_text(said)
    return found


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_every_line_is_covered_or_explained(points: coverage.Points) -> None:
    never = {(miss.file, miss.text, miss.what): miss for miss in coverage.missed(points, build.RTL)}
    new = [str(miss) for key, miss in never.items() if key not in uncovered.EXPLAINED]
    assert not new, "never reached and not explained in tests/hdl/uncovered.py"
    old = [key for key in uncovered.EXPLAINED if key not in never]
    assert not old, "explained in tests/hdl/uncovered.py, but reached or no longer in the RTL"


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_coverage_is_above_its_floor(points: coverage.Points) -> None:
    assert coverage.share(points, toggles=False).percent >= uncovered.LINES_FLOOR
    assert coverage.share(points, toggles=True).percent >= uncovered.TOGGLES_FLOOR
