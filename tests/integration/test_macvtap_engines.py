"""A macvtap on the host and a TAP on the card with an engine between them: which MAC address the card has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard
from tests.harness.macvtap_network import Network
from tests.harness.restarts import until
from tests.harness.soft_sim import soft_simulation
from tests.harness.xdma_lab import XdmaLab
from vnetcard.codes.error import ErrorCode
from vnetcard.lab.lab import Lab
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

MAC = "02:00:5e:00:00:51"


def problems(network: Network, side: int) -> list[str]:
    codes = ErrorCode.MAC_DIFFERS.value, ErrorCode.MAC_UNKNOWN.value
    return [one["message"] for one in network.port(side)["problems"] if one["code"] in codes]


def test_the_dma_copier_carries_the_address_of_the_macvtap_to_the_card(
    netns_pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    with XdmaLab(FakeBoard(tmp_path)) as lab:
        network = Network(lab, netns_pair[0])
        network.start()
        assert network.port(CARD)["mac"] == network.port(HOST)["mac"]
        assert problems(network, HOST) == problems(network, CARD) == []


def test_the_engine_carries_no_address_which_is_reported_with_the_remedy(netns_pair: tuple[str, str]) -> None:
    with soft_simulation() as simulation, Lab("sim", window=f"sim:{simulation.name}") as lab:
        network = Network(lab, netns_pair[0])
        network.launch()
        until(lambda: problems(network, HOST) != [], "the host's agent says what the card needs")
        (message,) = problems(network, HOST)
        assert f"--mac {network.port(HOST)['mac']}" in message
        assert not network.reaches_the_node()
        for side in (HOST, CARD):
            lab.stop(side)
        network.start("--mac", MAC)
        assert {network.port(side)["mac"] for side in (HOST, CARD)} == {MAC}
        assert problems(network, HOST) == []
