"""A memory that does not answer: the engine's time-out halts, the agents say so, and the link comes back by itself."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.restarts import OUTAGE, until
from tests.sim.engine_lab import LIMIT, assert_ledgers_balance, iperf3, joined, own, pinging
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.hdl, pytest.mark.slow]

SAID = "a memory did not answer at bus address 0x"


def halts(lab: Lab) -> int:
    """Halts of the engine that the agents have counted."""
    return sum(own(lab.status(side))["link"]["engine_halt"] for side in (L.HOST, L.CARD))


@pytest.mark.parametrize(
    "what", ["card-write-late@400", pytest.param("host-read-late@300", marks=pytest.mark.campaign)]
)
def test_a_link_comes_back_by_itself_once_an_unresponsive_memory_answers(what: str, tmp_path: Path) -> None:
    need("iperf3")
    with (tmp_path / "log").open("w+") as log, joined("--inject", what, log=log) as (_, lab):
        with pinging(lab):
            until(lambda: halts(lab) > 0, "an engine halt is counted", limit=LIMIT)
            until(lambda: SAID in (tmp_path / "log").read_text(), "the agents say why", limit=LIMIT)
            lab.wait_up(limit=LIMIT)
        assert_ledgers_balance(lab, allow=OUTAGE)
        assert iperf3(lab) > 0
        assert_ledgers_balance(lab, allow=OUTAGE)


@pytest.mark.campaign
def test_a_link_whose_memory_never_answers_comes_back_with_the_card(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log, joined("--inject", "card-read-hang@300", log=log) as (simulator, lab):
        with pinging(lab):
            until(lambda: SAID in (tmp_path / "log").read_text(), "the agents say why", limit=LIMIT)
            until(lambda: not lab.status(L.HOST)["link"]["up"], "the link is down", limit=LIMIT)
            for event in ("removed", "returned"):
                simulator.signal(signal.SIGUSR1)
                simulator.event(event)
            lab.wait_up(limit=LIMIT)
        assert_ledgers_balance(lab, allow=OUTAGE)
