"""Two agents that are joined by memif: every size, carriers, restarts and kills, with exact accounts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.harness.ledger import View, assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from tests.harness.ring_links import RingLab, joined_by_memif, ping
from tests.harness.traffic import pinging
from vnetcard.codes.link import LinkReason

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIZES = [56, 57, 63, 64, 65, 576, 1472, 1473, 2048, 8972, 65507]
LATE = 3
"""Sleeps of a pump that may end by time-out just as a frame comes; without wake-ups nearly each would."""
EARLY = frozenset({"drop_link_down", "drop_port_down"})
"""What a kernel sends by itself before all four agents run."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[str]]:
    with (tmp_path / "log").open("w+") as file:
        yield file


def delivered(lab: RingLab) -> int:
    """Frames that the agent with the memif has put into it."""
    return int(_ledger(lab, "rx")["rx_delivered"])


def taken(lab: RingLab) -> int:
    """Frames that it has taken from it."""
    return int(_ledger(lab, "tx")["tx_taken"])


def await_frames(lab: RingLab) -> None:
    """Return once it has taken some more."""
    wanted = taken(lab) + 20
    until(lambda: taken(lab) >= wanted, "frames arrive")


def _ledger(lab: RingLab, end: str) -> View:
    found: View = lab.lab.status(lab.side)["sides"][lab.side][end]
    return found


def start(*labs: RingLab) -> None:
    for one in labs:
        one.start_tap()
        one.start_ring_port()
    for one in labs:
        one.await_carrier()


@pytest.mark.parametrize("options", ["", "?ring=4&buffer=64"])
def test_pings_of_all_sizes_cross_both_links_and_each_frame_is_counted(log: IO[str], options: str) -> None:
    """Also in rings of 16 slots of 64 bytes, where a frame has several slots, and the ring is full again and again."""
    with joined_by_memif(log, options=options) as (host, card):
        start(host, card)
        sizes = [size for size in SIZES if not options or size < 900]
        results = ping(host.lab, sizes)
        assert [result.size for result in results if result.ok] == sizes, results
        for one in (host, card):
            assert_ledgers_balance(one.lab, allow=EARLY)
        assert delivered(host) == taken(card) > 0
        assert delivered(card) == taken(host) > 0
        assert all(_ledger(one, "tx")["tx_late_wakeups"] <= LATE for one in (host, card)), "a sleeping pump is woken"


def test_carrier_follows_the_peer_of_the_memif(log: IO[str]) -> None:
    with joined_by_memif(log) as (host, card):
        start(host, card)
        for gone, left in ((host, card), (card, host)):
            gone.stop_ring_port()
            left.await_reason(LinkReason.PEER_PORT_DOWN)
            gone.start_ring_port()
            for one in (host, card):
                one.await_carrier()
        assert [result.ok for result in ping(host.lab, [56])] == [True]


def test_killed_agents_are_connected_again_and_every_frame_is_counted(log: IO[str]) -> None:
    with joined_by_memif(log) as (host, card):
        start(host, card)
        with pinging(host.lab, "-i", "0.002", "-s", "1000"):
            for gone in (host, card, host, card):
                await_frames(card)
                gone.stop_ring_port(signal.SIGKILL)
                gone.start_ring_port()
                for one in (host, card):
                    one.await_carrier()
        for one in (host, card):
            assert_ledgers_balance(one.lab, allow=OUTAGE | EARLY)
