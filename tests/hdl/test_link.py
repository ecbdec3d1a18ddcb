"""The same Link, Engine driver and FIFOs that agents use bring a link up through the RTL, and keep it."""

from __future__ import annotations

import pytest

from tests.hdl import hdl_build, hdl_suite
from tests.hdl.hdl_jobs import Jobs
from tests.hdl.hdl_suite import Run

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULE = "cases_link"
RUNS = [Run(MODULE, case, 64, stall) for case in hdl_suite.cases(MODULE) for stall in hdl_suite.STALLS]
RUNS += [Run(MODULE, "link_comes_up_and_carries_packets_both_ways", 512, "stalled")]  # a side block is one beat


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, id=run.name, marks=() if run.stall == "stalled" else pytest.mark.campaign) for run in RUNS],
)
def test_link(jobs: Jobs, run: Run) -> None:
    hdl_build.show(jobs.result(run))
