"""An agent that is stopped for a while, as a debugger or a paused machine does it: no restart, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import GENEROUS, Handshake, chance, end_quietly, fast_retries, link_line, ping, until
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

FROZEN_S = 5.0


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Small rings: what is sent towards a frozen side fills them within a moment."""
    size = getattr(request, "param", "+64K")
    with Lab("freeze") as lab:
        lab.window += size
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield lab


def freeze(lab: Lab, side: int) -> None:
    """Stop the agent of ``side`` for FROZEN_S seconds and check what the other side shows meanwhile."""
    other = 1 - side
    agent = lab.agent(side)
    agent.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    dead = until(lambda: lab.status(other)["link"]["state"] == "peer-dead", "the peer is dead") - began
    down = until(lambda: "NO-CARRIER" in link_line(lab, other), "no carrier") - began
    assert dead > 0.8, "a short pause must not restart the link"
    assert "NO-CARRIER" not in link_line(lab, side), "the frozen side cannot know"
    time.sleep(max(0.0, FROZEN_S - (time.monotonic() - began)))
    agent.send_signal(signal.SIGCONT)
    woken = time.monotonic()
    lab.wait_up()
    print(
        f"{L.SIDES[side]} frozen: peer-dead after {dead:.2f} s, NO-CARRIER after {down:.2f} s, "
        f"up {time.monotonic() - woken:.2f} s after it went on"
    )


def events(view: dict[str, Any], side: int) -> dict[str, int]:
    return {name: n for name, n in view["sides"][side]["link"].items() if n}


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_a_frozen_agent_goes_on_where_it_was(lab: Lab, side: int) -> None:
    """Pings go on from the running side all the while; those that find the ring full are counted as drops."""
    other = 1 - side
    epochs = Handshake(lab).epochs()
    command = ["ping", "-q", "-i", "0.002", "-s", "1000", ADDRESSES[side]]
    pings = subprocess.Popen(run_in(lab.namespaces[other], command), stdout=subprocess.DEVNULL, text=True)
    try:
        until(lambda: lab.status(other)["sides"][other]["tx"]["tx_taken"] > 50, "pings cross the link")
        freeze(lab, side)
    finally:
        end_quietly([pings])
    for at in (L.HOST, L.CARD):
        ping(lab, at)
    (view, _) = assert_ledgers_balance(lab, allow={"drop_peer_dead"})
    assert Handshake(lab).epochs() == epochs
    assert view["sides"][other]["tx"]["drop_peer_dead"] > 0
    assert view["sides"][side]["tx"]["drop_peer_dead"] == 0
    assert events(view, other) == {"link_up": 1, "peer_dead": 1, "peer_back": 1}
    assert events(view, side) == {"link_up": 1}


@pytest.mark.parametrize(("lab", "side"), [("", L.HOST), ("+64K", L.CARD)], indirect=["lab"], ids=["large", "small"])
def test_tcp_outlives_a_frozen_agent(lab: Lab, tmp_path: Path, side: int) -> None:
    """The frozen side receives; no byte is lost or changed, and the connection goes on."""
    fast_retries(lab)
    epochs = Handshake(lab).epochs()
    netns, seed = lab.namespaces, chance().randrange(1 << 32)
    with Stream(netns[1 - side], netns[side], ADDRESSES[side], tmp_path, seed=seed) as stream:
        freeze(lab, side)
        stream.wait_progress(since=stream.position, limit=GENEROUS)
        print(f"{stream.finish() >> 20} MiB verified")
    assert_ledgers_balance(lab, allow={"drop_peer_dead"})
    assert Handshake(lab).epochs() == epochs


def test_a_pause_shorter_than_the_limit_is_no_event(lab: Lab) -> None:
    """Half a second: the link stays up on both sides and every ping is answered."""
    for side in (L.HOST, L.CARD):
        lab.agent(side).send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        lab.agent(side).send_signal(signal.SIGCONT)
        ping(lab, side)
    for view in assert_ledgers_balance(lab):
        assert [events(view, side) for side in (L.HOST, L.CARD)] == [{"link_up": 1}, {"link_up": 1}]


def test_both_frozen_at_once_come_back(lab: Lab) -> None:
    """A paused machine: no time has passed for either, so nothing happened."""
    for side in (L.HOST, L.CARD):
        lab.agent(side).send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    for side in (L.CARD, L.HOST):
        lab.agent(side).send_signal(signal.SIGCONT)
    lab.wait_up()
    for side in (L.HOST, L.CARD):
        ping(lab, side)
    (view, _) = assert_ledgers_balance(lab, allow={"drop_peer_dead"})
    assert [events(view, side) for side in (L.HOST, L.CARD)] == [{"link_up": 1}, {"link_up": 1}]
