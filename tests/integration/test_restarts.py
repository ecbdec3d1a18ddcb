"""Agents killed at any moment, in any order: the link comes back by itself and no packet is ever wrong."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance, kernel_minus_ledger
from tests.harness.restarts import (
    OUTAGE,
    Handshake,
    chance,
    fast_retries,
    kill_and_restart,
    left_behind,
    ping,
    shm_path,
    spread,
    until,
)
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

KEEP = ("--persist",)
VICTIMS = ((L.HOST,), (L.CARD,), (L.HOST, L.CARD), (L.CARD, L.HOST))

NORMAL = pytest.param(15, id="normal", marks=pytest.mark.slow)
CAMPAIGN = pytest.param(100, id="campaign", marks=(pytest.mark.campaign, pytest.mark.timeout(1800)))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("restart") as lab:
        yield lab


def start_both(lab: Lab, *options: str) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side, *options)
    lab.wait_up()


@pytest.mark.parametrize("kills", [NORMAL, CAMPAIGN])
def test_tcp_survives_killed_agents(lab: Lab, tmp_path: Path, kills: int) -> None:
    """One connection, verified byte for byte, survives all kills; after each the ledger balances.

    Prints how long the link was away: under a second on a machine that is not overloaded.
    """
    rng = chance()
    start_both(lab, *KEEP)
    fast_retries(lab)
    sender = rng.choice((L.HOST, L.CARD))
    times, progress, kernel = [], [], [(0, 0), (0, 0)]
    killed = [0, 0]
    probes = [given for _, given in kernel_minus_ledger(lab, assert_ledgers_balance(lab))]
    netns, address = lab.namespaces, ADDRESSES[1 - sender]
    with Stream(netns[sender], netns[1 - sender], address, tmp_path, seed=rng.randrange(1 << 32)) as stream:
        for _ in range(kills):
            victims = rng.choice(VICTIMS)
            stream.wait_progress(since=stream.position)
            time.sleep(rng.uniform(0, 0.05))
            times.append(kill_and_restart(lab, victims, (KEEP, KEEP), pause=rng.choice((0, 0, rng.uniform(0, 0.1)))))
            progress.append(stream.wait_progress(since=stream.position))
            for side in victims:
                killed[side] += 1
            stream.pause()
            views = assert_ledgers_balance(lab, allow=OUTAGE)
            kernel = kernel_minus_ledger(lab, views)
            stream.resume()
        length = stream.finish()
    spread("from the start of the new agent to a link that runs", times)
    spread("from then on to the next byte", progress)
    lost = [side["tx"]["lost_restart"] for side in views[0]["sides"]]
    print(f"{length >> 20} MiB verified; lost in restarts: {lost}; killed {killed}")
    for side in (L.HOST, L.CARD):
        taken, given = kernel[side]
        given -= probes[side] * (1 + killed[side])  # what each start writes to learn the kernel's offloads
        print(f"{L.SIDES[side]}: kernel sent {taken} more than was taken, received {given} more than was delivered")
        assert 0 <= taken <= killed[side], "a kill leaves at most one packet uncounted"
        assert 0 <= given <= killed[side], "a kill between delivery and ledger: at most one packet"


def test_killed_agents_without_a_lasting_interface_come_back(lab: Lab, tmp_path: Path) -> None:
    """The interface goes with the agent, and connections with it; new ones work at once."""
    rng = chance()
    start_both(lab)
    times = []
    for number in range(6):
        victims = VICTIMS[number % len(VICTIMS)]
        sender = rng.choice((L.HOST, L.CARD))
        netns, address = lab.namespaces, ADDRESSES[1 - sender]
        seed, port = rng.randrange(1 << 32), 5400 + number
        with Stream(netns[sender], netns[1 - sender], address, tmp_path, seed=seed, port=port) as stream:
            stream.wait_progress(since=1 << 20)
            times.append(kill_and_restart(lab, victims))
        lab.wait_open()
        for side in (L.HOST, L.CARD):
            ping(lab, side)
        with Stream(netns[sender], netns[1 - sender], address, tmp_path, seed=seed, port=port + 100) as stream:
            stream.wait_progress(since=1 << 20)
            assert stream.finish() > 1 << 20
        # Super-packets for a connection whose interface is gone may be refused as well.
        assert_ledgers_balance(lab, allow=OUTAGE | {"drop_port_down", "drop_port_refused", "drop_bad_frame"})
    spread("without --persist, from the start of the new agent to a link that runs", times)


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(8, id="normal", marks=pytest.mark.slow),
        pytest.param(150, id="campaign", marks=(pytest.mark.campaign, pytest.mark.timeout(1800))),
    ],
)
def test_agents_killed_again_before_the_link_is_up_come_back(lab: Lab, tmp_path: Path, rounds: int) -> None:
    """Kills fall on every step of the handshake, under load; the link recovers and the ledger balances."""
    rng = chance()
    start_both(lab, *KEEP)
    fast_retries(lab)
    handshake = Handshake(lab)
    netns = lab.namespaces
    with Stream(netns[L.HOST], netns[L.CARD], ADDRESSES[L.CARD], tmp_path, seed=rng.randrange(1 << 32)) as stream:
        for _ in range(rounds):
            stream.wait_progress(since=stream.position)
            kill_at_some_step(lab, handshake, rng)
            lab.wait_up()
            stream.wait_progress(since=stream.position)
            stream.pause()
            assert_ledgers_balance(lab, allow=OUTAGE)
            stream.resume()
        print(f"{stream.finish() >> 20} MiB verified")


def kill_at_some_step(lab: Lab, handshake: Handshake, rng: random.Random) -> None:
    """Restart one side; while the two shake hands kill the other, or the same, or both; start what is missing."""
    first = rng.choice((L.HOST, L.CARD))
    before = handshake.epochs()
    lab.stop(first, signal.SIGKILL)
    lab.start(first, *KEEP)
    step = rng.randrange(4)
    if step == 0:
        until(lambda: handshake.epochs() != before, "a new epoch")
    elif step == 1:
        until(lambda: handshake.word(1 - first, "answered") not in (0, before[first]), "the peer's answer")
    elif step == 2:
        until(lambda: handshake.word(first, "answered") == handshake.word(1 - first, "epoch"), "our answer")
    else:
        until(handshake.running, "the link is up")
    if rng.randrange(2):
        time.sleep(rng.uniform(0, 0.003))
    victims = rng.choice(VICTIMS)
    for side in victims:
        lab.stop(side, signal.SIGKILL)
    for side in victims:
        lab.start(side, *KEEP)


def test_killed_agents_leave_nothing_after_the_next_clean_end(lab: Lab) -> None:
    """After kill -9 of both the window stays, with its counters; the next clean end removes everything."""
    start_both(lab)
    ping(lab, L.HOST)
    for side in (L.HOST, L.CARD):
        lab.stop(side, signal.SIGKILL)
    assert shm_path(lab).exists()
    start_both(lab)
    ping(lab, L.CARD)
    (view, _) = assert_ledgers_balance(lab, allow=OUTAGE | {"drop_port_down", "drop_port_refused"})
    assert view["sides"][L.HOST]["tx"]["tx_taken"] >= 6, "the counters outlive their process"
    assert [lab.stop(side) for side in (L.HOST, L.CARD)] == [0, 0]
    assert left_behind(lab) == []
