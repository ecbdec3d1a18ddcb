"""The agents' own Link, Engine driver and FIFOs bring a link up through the RTL and keep it up."""

from __future__ import annotations

import pytest

from tests.hdl import build, suite
from tests.hdl.jobs import Jobs
from tests.hdl.suite import Run

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULE = "cases_link"
RUNS = [Run(MODULE, case, 64, stall) for case in suite.cases(MODULE) for stall in suite.STALLS]
RUNS += [
    Run(MODULE, "link_comes_up_and_carries_packets_in_both_directions", 512, "stalled")
]  # at this width a side block is one beat


def always(run: Run) -> bool:
    """Return whether ``run`` is part of `make test`."""
    return run.width == 64 and run.stall == "stalled" and run.case.startswith("link_comes_up")


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, id=run.name, marks=() if always(run) else pytest.mark.campaign) for run in RUNS],
)
def test_link(jobs: Jobs, run: Run) -> None:
    build.show(jobs.result(run))
