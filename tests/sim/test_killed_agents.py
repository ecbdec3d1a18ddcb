"""kill -9 of agents under load, the engine between them being the RTL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.engine_restarts import survive_kills
from tests.sim.simulation import simulated
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.hdl, pytest.mark.root, pytest.mark.slow]

HOST, CARD = L.HOST, L.CARD
NORMAL = pytest.param(((HOST, CARD), (CARD,)), id="normal")
CAMPAIGN = pytest.param(
    ((HOST,), (CARD,), (HOST, CARD), (CARD, HOST)) * 15,
    id="campaign",
    marks=(pytest.mark.campaign, pytest.mark.timeout(1800)),
)


@pytest.mark.parametrize("kills", [NORMAL, CAMPAIGN])
def test_tcp_survives_killed_agents(tmp_path: Path, kills: Sequence[Sequence[int]]) -> None:
    with simulated() as simulation, Lab("simkill", window=f"sim:{simulation.name}", log=sys.stderr) as lab:
        survive_kills(lab, tmp_path, kills)
