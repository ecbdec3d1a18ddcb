"""The simulations of the campaign: 10^5 doorbells, and records of every size at every width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hdl import build, suite
from tests.hdl.jobs import Jobs

pytestmark = [pytest.mark.hdl, pytest.mark.campaign, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module", autouse=True)
def everything() -> Iterator[None]:
    """Run every record size; the simulators inherit the variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VNETCARD_SWEEP", "1")
        yield


@pytest.mark.parametrize("run", suite.runs(("sweep_cases",), stalls=("stalled",)), ids=lambda run: run.name)
def test_sweep(jobs: Jobs, run: suite.Run) -> None:
    outcome = jobs.result(run)
    build.show(outcome)
    print(*(line for line in outcome.output.splitlines() if "FIGURES" in line), sep="\n")


@pytest.mark.parametrize(
    "run",
    [
        suite.Run("cases_sizes", "record_of_every_size_arrives", width, "stalled")  # calm adds no order of events
        for width in suite.WIDTHS
    ],
    ids=lambda run: run.name,
)
def test_every_size(jobs: Jobs, run: suite.Run) -> None:
    build.show(jobs.result(run))
