"""An agent of the ARM64 build under qemu-user, and one of this machine, joined by one shared memory."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, kill_and_restart, ping_suite
from vnetcard.lab.lab import MODULES, Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.arm64, pytest.mark.slow, pytest.mark.campaign, pytest.mark.timeout(900)]


@pytest.fixture
def lab(arm64_python: list[str]) -> Iterator[Lab]:
    """The card's agent is the ARM64 build."""
    with Lab("arm64") as lab:
        lab.commands[L.CARD] = [*arm64_python, "-m", MODULES[L.CARD]]
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield lab


@pytest.mark.root
def test_agents_of_two_architectures_ping_each_other_and_survive_kills(lab: Lab) -> None:
    core = Path(f"/proc/{lab.agent(L.CARD).pid}/maps").read_text()
    assert "aarch64-linux-gnu.so" in core
    ping_suite(lab)
    for sides in ((L.CARD,), (L.HOST,), (L.CARD, L.HOST)):
        kill_and_restart(lab, sides)
        lab.wait_up()
        ping_suite(lab, sizes=(56, 8000))
    assert lab.stop(L.CARD, signal.SIGTERM) == 0
    lab.wait_for(L.HOST, "waiting")
    assert_ledgers_balance(lab, allow=OUTAGE)
