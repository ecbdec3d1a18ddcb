"""A card that is a computer: an ARM64 guest behind a PCI BAR, this machine's agent on the file that is the BAR."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest
from card_streams import stream
from ledger import assert_books_balance
from restarts import OUTAGE, until

from vnetcard import layout as L
from vnetcard.lab import ADDRESSES
from vnetcard.pingsuite import Target, run_suite
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CardLab

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]

MIB = 1 << 20


@pytest.fixture
def lab(image: Image) -> Iterator[CardLab]:
    """Both agents run, and their link."""
    with CardLab(image, "e2e", log=sys.stderr) as lab:
        lab.lab.start(L.HOST, "--persist")
        lab.boot()
        lab.start_card()
        lab.wait_up()
        yield lab


def assert_pings_cross(lab: CardLab, *, count: int = 10, **sizes: list[int]) -> None:
    """Both ways, all answered."""
    host = Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST], label="host to card")
    card = Target(ADDRESSES[L.HOST], label="card to host")
    results = run_suite([host], count=count, **sizes)
    results += lab.ping_from_card(count=count, target=card, **sizes)
    assert all(result.ok for result in results), "\n".join(str(result) for result in results if not result.ok)


def kernel_of_the_card(lab: CardLab) -> str:
    return str(lab.lab.status(L.HOST)["sides"][L.CARD]["machine"])


def test_every_ping_of_every_size_is_answered_both_ways(lab: CardLab) -> None:
    assert_pings_cross(lab)
    assert kernel_of_the_card(lab) == "card"
    assert_books_balance(lab.lab)


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_a_stream_arrives_with_the_same_hash(lab: CardLab, sender: int) -> None:
    with stream(lab, sender, 32 * MIB) as running:
        running.assert_arrives()
    assert_books_balance(lab.lab)


def test_card_that_loses_its_power_under_load_comes_back(lab: CardLab) -> None:
    with stream(lab, L.HOST, 1024 * MIB):
        time.sleep(1.0)
        lab.kill_guest()
        lab.lab.wait_for(L.HOST, "peer-dead")
    lab.boot()
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert_books_balance(lab.lab, allow=OUTAGE)


def test_what_a_dead_link_left_in_the_bar_does_not_hurt_a_new_one(lab: CardLab) -> None:
    with stream(lab, L.CARD, 1024 * MIB):
        time.sleep(1.0)
        lab.kill_guest()
        lab.lab.stop(L.HOST, signal.SIGKILL)
    lab.lab.start(L.HOST)
    assert lab.lab.status(L.HOST)["link"]["up"] is False
    lab.boot()
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert_books_balance(lab.lab, allow=OUTAGE)


def test_stream_survives_killed_agents_of_the_host(lab: CardLab) -> None:
    with stream(lab, L.CARD, 48 * MIB) as running:
        for _ in range(2):
            before = lab.lab.status(L.HOST)["link"]["epoch"]
            lab.lab.stop(L.HOST, signal.SIGKILL)
            lab.lab.start(L.HOST, "--persist")
            lab.lab.wait_up()
            assert lab.lab.status(L.HOST)["link"]["epoch"] != before
        running.assert_arrives()
    assert_books_balance(lab.lab, allow=OUTAGE)


def test_killed_agent_of_the_card_comes_back(lab: CardLab) -> None:
    assert lab.agent is not None
    lab.running_guest().signal(lab.agent, signal.SIGKILL)
    until(lambda: not lab.lab.status(L.HOST)["link"]["up"], "the host sees it")
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab, count=3, sizes=[56])
    assert_books_balance(lab.lab, allow=OUTAGE)
