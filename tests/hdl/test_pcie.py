"""The register page as a BAR, and DMA to a host's memory as TLPs: the engine behind a model of PCIe.

Root complex, link and device are cocotbext-pcie's; what joins the device to the engine is a model too
(``pcie_shim.py``).  It shows that the engine fits behind a bridge, not that any bridge works.
"""

from __future__ import annotations

import pytest

from tests.hdl import hdl_build, hdl_suite
from tests.hdl.hdl_jobs import Jobs
from tests.hdl.hdl_suite import Run

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULE = "cases_pcie"
RUNS = [Run(MODULE, case, 64, "stalled") for case in hdl_suite.cases(MODULE)]
# Bursts of 4 KiB, the longest that there are, and a side block that is one beat.
RUNS += [Run(MODULE, case, 512, "calm") for case in hdl_suite.cases(MODULE) if case.startswith("bytes_survive")]


@pytest.mark.parametrize("run", [pytest.param(run, id=run.name) for run in RUNS])
def test_pcie(jobs: Jobs, run: Run) -> None:
    hdl_build.show(jobs.result(run))
