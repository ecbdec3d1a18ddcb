"""The engine behind a model of PCIe: the register page as a BAR, and DMA to host memory as TLPs.

Root complex, link and device are models of cocotbext-pcie; the bridge between device and engine is a model too
(``pcie_shim.py``).  The tests show that the engine works behind such a bridge, not that a given bridge works.
"""

from __future__ import annotations

import pytest

from tests.hdl import build, suite
from tests.hdl.jobs import Jobs
from tests.hdl.suite import Run

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULE = "cases_pcie"
RUNS = [Run(MODULE, case, 64, "stalled") for case in suite.cases(MODULE)]
# Bursts of 4 KiB, the longest possible, and a side block of one beat.
RUNS += [Run(MODULE, case, 512, "calm") for case in suite.cases(MODULE) if case.startswith("bytes_survive")]


ALWAYS = (
    "root_complex_finds_the_card_and_places_bar0",
    "registers_work_as_a_bar",
    "agents_bring_their_link_up_behind_pcie",
)
"""The cases of `make test`; the campaign has all."""


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, id=run.name, marks=() if run.case in ALWAYS else pytest.mark.campaign) for run in RUNS],
)
def test_pcie(jobs: Jobs, run: Run) -> None:
    build.show(jobs.result(run))
