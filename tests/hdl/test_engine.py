"""The DMA engine in simulation: Verilator, cocotb, and memories that reorder, stall and fail.

Each case is a function of one of the files in ``hdl_suite.MODULES`` and says what it shows.  VNETCARD_SEED
repeats a run.
"""

from __future__ import annotations

import hdl_build
import hdl_suite
import pytest
from _pytest.mark import ParameterSet
from hdl_jobs import Jobs

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
    always = (run.width, run.stall) in hdl_suite.ALWAYS
    return pytest.param(run, id=run.name, marks=() if always else pytest.mark.campaign)


@pytest.mark.parametrize("run", [marked(run) for run in hdl_suite.runs()])
def test_engine(jobs: Jobs, run: hdl_suite.Run) -> None:
    hdl_build.show(jobs.result(run))
