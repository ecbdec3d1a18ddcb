"""A card that is a computer: an ARM64 guest behind a PCI BAR, this machine's agent on the file that is the BAR."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from card_streams import stream
from ledger import assert_books_balance
from restarts import OUTAGE, until

from vnetcard import layout as L
from vnetcard.lab import ADDRESSES
from vnetcard.pingsuite import Target, run_suite
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import AGENT, CardLab

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]

MIB = 1 << 20


@pytest.fixture(scope="module")
def lab(image: Image) -> Iterator[CardLab]:
    """Both agents run, and their link; nobody disturbs it, so one serves several tests."""
    with joined(image, "e2e") as lab:
        yield lab


@pytest.fixture(scope="module")
def survivor(image: Image) -> Iterator[CardLab]:
    """The same to be disturbed: each test begins with a link that runs, and leaves one that does."""
    with joined(image, "e2e-survivor") as lab:
        yield lab


@contextmanager
def joined(image: Image, tag: str) -> Iterator[CardLab]:
    with CardLab(image, tag) as lab:
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


def wait_for_load(lab: CardLab, sender: int) -> None:
    """Return once a stream from ``sender`` is well under way."""

    def received() -> int:
        return int(lab.lab.status(L.HOST)["sides"][1 - sender]["rx"]["rx_received"])

    before = received()
    until(lambda: received() > before + 100, "the stream moves")


def test_every_ping_of_every_size_is_answered_both_ways(lab: CardLab) -> None:
    assert_pings_cross(lab)
    assert "aarch64" in lab.running_guest().ready
    assert_books_balance(lab.lab)


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_a_stream_arrives_with_the_same_hash(lab: CardLab, sender: int) -> None:
    with stream(lab, sender, 32 * MIB) as running:
        running.assert_arrives()
    assert_books_balance(lab.lab)


def test_card_that_loses_its_power_under_load_comes_back(survivor: CardLab) -> None:
    with stream(survivor, L.HOST, 1024 * MIB):
        wait_for_load(survivor, L.HOST)
        survivor.kill_guest()
        survivor.lab.wait_for(L.HOST, "peer-dead")
    survivor.boot()
    survivor.start_card()
    survivor.wait_up()
    assert_pings_cross(survivor, count=3, sizes=[56, 9000])
    assert_books_balance(survivor.lab, allow=OUTAGE)


def test_what_a_dead_link_left_in_the_bar_does_not_hurt_a_new_one(survivor: CardLab) -> None:
    with stream(survivor, L.CARD, 1024 * MIB):
        wait_for_load(survivor, L.CARD)
        survivor.kill_guest()
        survivor.lab.stop(L.HOST, signal.SIGKILL)
    survivor.lab.start(L.HOST, "--persist")
    assert survivor.lab.status(L.HOST)["link"]["up"] is False
    survivor.boot()
    survivor.start_card()
    survivor.wait_up()
    assert_pings_cross(survivor, count=3, sizes=[56, 9000])
    assert_books_balance(survivor.lab, allow=OUTAGE)


def test_stream_survives_killed_agents_of_the_host(survivor: CardLab) -> None:
    with stream(survivor, L.CARD, 48 * MIB) as running:
        for _ in range(2):
            wait_for_load(survivor, L.CARD)
            before = survivor.lab.status(L.HOST)["link"]["epoch"]
            survivor.lab.stop(L.HOST, signal.SIGKILL)
            survivor.lab.start(L.HOST, "--persist")
            survivor.lab.wait_up()
            assert survivor.lab.status(L.HOST)["link"]["epoch"] != before
        running.assert_arrives()
    assert_books_balance(survivor.lab, allow=OUTAGE)


def test_killed_agent_of_the_card_comes_back(survivor: CardLab) -> None:
    assert survivor.agent is not None
    survivor.running_guest().signal(survivor.agent, signal.SIGKILL)
    until(lambda: not survivor.lab.status(L.HOST)["link"]["up"], "the host sees it")
    survivor.start_card()
    survivor.wait_up()
    assert_pings_cross(survivor, count=3, sizes=[56])
    assert_books_balance(survivor.lab, allow=OUTAGE)


def test_card_that_is_there_first_waits_for_the_host(survivor: CardLab) -> None:
    assert survivor.agent is not None
    guest = survivor.running_guest()
    guest.signal(survivor.agent, signal.SIGTERM)
    assert guest.wait(survivor.agent).status == 0
    assert survivor.lab.stop(L.HOST) == 0
    with survivor.memory.open("r+b") as file:
        file.write(bytes(L.rings_offset(1)))  # as memory is after power-on
    survivor.agent = guest.start(AGENT, "--window", "pci:auto")
    waiting = "waiting for the host's agent to lay the window out"
    agent = survivor.agent
    until(lambda: guest.run("true").status == 0 and waiting in agent.err, "the card waits")
    survivor.lab.start(L.HOST, "--persist")
    guest.wait_said(survivor.agent, " ready: ")
    survivor.wait_up()
    assert_pings_cross(survivor, count=3, sizes=[56])
    assert_books_balance(survivor.lab, allow=OUTAGE)


def test_card_shows_its_link(lab: CardLab) -> None:
    status = lab.running_guest().run("vnetcard", "status", "--window", "pci:auto")
    assert (status.status, status.stderr) == (0, "")
    assert "UP (run: both sides have answered)" in status.stdout
