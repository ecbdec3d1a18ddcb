"""A program overwrites parts of a window that two agents use: it heals, no agent is restarted, and it is said."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.harness.ledger import wait_for_rest
from tests.harness.programs import VNETCARD, run
from tests.harness.restarts import chance, ping, shm_path, until
from tests.harness.traffic import pinging
from vnetcard.codes.cause import CauseCode
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

pytestmark = pytest.mark.root

ANOTHER = Geometry.plan(8 << 20, queue_bytes=64 << 10, queues=2, instance=77, removable=True).encode()
LEDGERS_BYTES = 2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES


class Victim:
    """Two agents that are up, and what a program can write over their window."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def write(self, at: int, data: bytes) -> None:
        with shm_path(self.lab).open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, at)

    def superblock(self) -> bytes:
        with shm_path(self.lab).open("rb", buffering=0) as file:
            return file.read(128)

    def events(self, side: int) -> dict[str, int]:
        """The link counters of ``side`` by its own agent; empty while it does not answer."""
        with contextlib.suppress(PeerGone):
            view = self.lab.status(side)
            found: dict[str, int] = next(s["link"] for s in view["sides"] if s["side"] == L.SIDES[side])
            return found
        return {}

    def pids(self) -> list[int]:
        return [self.lab.agent(side).pid for side in (L.HOST, L.CARD)]


@pytest.fixture
def victim() -> Iterator[Victim]:
    with Lab("overwritten") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield Victim(lab)
        for side in (L.HOST, L.CARD):
            assert lab.agent(side).poll() is None, "an agent ended"
            assert lab.stop(side) == 0
    assert not shm_path(lab).exists()


def test_link_stays_up_while_its_superblock_is_overwritten(victim: Victim) -> None:
    """Also by another version or layout, and again and again: nothing reads it while the link runs."""
    good, dice = victim.superblock(), chance()
    before = [victim.events(side)["link_up"] for side in (L.HOST, L.CARD)]
    with pinging(victim.lab):
        for damage in (bytes(64), dice.randbytes(128), good[:8] + b"\x07" + good[9:], ANOTHER):
            victim.write(0, damage)
            until(lambda: victim.superblock() == good, "the superblock is restored")
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            victim.write(0, dice.randbytes(64))
            time.sleep(0.1)
        until(lambda: victim.superblock() == good, "the superblock is restored")
    ping(victim.lab, L.HOST)
    events = [victim.events(side) for side in (L.HOST, L.CARD)]
    assert [one["link_up"] for one in events] == before, "the link went on"
    restored = sum(one["superblock_restored"] for one in events)
    assert 5 <= restored <= 16
    shown = json.loads(run([*VNETCARD, "show", "errors", "--window", victim.lab.url, "--json"]).stdout)
    assert CauseCode.WINDOW_OVERWRITTEN.value in json.dumps(shown)
    metrics = run([*VNETCARD, "metrics", "--once", "--window", victim.lab.url])
    assert "vnetcard_superblock_restored_total" in metrics.stdout
    assert wait_for_rest(victim.lab)[1] == []


@pytest.mark.parametrize("filling", ["zeros", "noise"])
def test_window_that_is_overwritten_as_a_whole_heals(victim: Victim, filling: str) -> None:
    good, dice = victim.superblock(), chance()
    ping(victim.lab, L.HOST)
    size = 0x1000 + (64 << 10)
    with pinging(victim.lab):
        victim.write(0, bytes(size) if filling == "zeros" else dice.randbytes(size))
        until(lambda: victim.superblock() == good, "the superblock is restored")
        until(lambda: victim.events(L.HOST).get("viol_side_block", 0) > 0, "the host has noticed")
        victim.lab.wait_up()
    ping(victim.lab, L.CARD)
    until(lambda: not any(side["ruined"] for side in victim.lab.status(L.HOST)["sides"]), "all counters are restored")
    views, wrong = wait_for_rest(victim.lab)
    assert wrong == [], views
    assert all(side["tx"]["tx_taken"] < 10**6 for side in views[0]["sides"])


@pytest.mark.parametrize("dead", [L.HOST, L.CARD])
def test_agent_that_starts_over_a_damaged_superblock_waits_for_the_other_one(victim: Victim, dead: int) -> None:
    good = victim.superblock()
    victim.lab.stop(dead, signal.SIGKILL)
    victim.write(0, random.randbytes(128))
    victim.lab.start(dead)
    victim.lab.wait_up()
    assert victim.superblock() == good
    assert victim.events(1 - dead)["superblock_restored"] == 1
    ping(victim.lab, dead)


def test_counters_ruined_while_their_agent_was_dead_begin_again_with_a_mark(victim: Victim) -> None:
    dice = chance()
    ping(victim.lab, L.HOST, count=20)
    wait_for_rest(victim.lab)
    victim.lab.stop(L.CARD, signal.SIGKILL)
    for end in ("h2c_rx", "c2h_tx"):
        victim.write(L.queue_offset(0) + L.QUEUE_LEDGERS[end], dice.randbytes(LEDGERS_BYTES))
    card = next(side for side in victim.lab.status(L.HOST)["sides"] if side["side"] == "card")
    assert card["ruined"] == ["tx", "rx"], "seen by the peer's agent, which cannot know better"
    assert (card["tx"]["tx_taken"], card["rx"]["rx_received"]) == (0, 0)
    assert "overwrote its rx counters" in run([*VNETCARD, "status", "--window", victim.lab.url]).stdout
    victim.lab.start(L.CARD)
    victim.lab.wait_up()
    ping(victim.lab, L.HOST, count=5)
    until(lambda: victim.events(L.CARD).get("ledger_restarted") == 2, "the card marks it")
    views, wrong = wait_for_rest(victim.lab)
    assert wrong == [], views
    assert all(row["restarted"] and row["in_flight"] == 0 for row in views[0]["balance"])
    assert 5 <= views[0]["sides"][L.CARD]["rx"]["rx_received"] < 20
    shown = run([*VNETCARD, "show", "errors", "--window", victim.lab.url, "--json"]).stdout
    assert "began again at 0: 2" in shown


def test_running_agent_writes_its_counters_and_its_side_block_again(victim: Victim) -> None:
    dice = chance()
    ping(victim.lab, L.HOST, count=20)
    before = wait_for_rest(victim.lab)[0][0]["sides"]
    for at in L.QUEUE_LEDGERS.values():
        victim.write(L.queue_offset(0) + at, dice.randbytes(LEDGERS_BYTES))
    for side in (L.HOST, L.CARD):
        at = L.side_offset(side) + L.SIDE_CONTROL.offset("mtu")
        victim.write(at, bytes(4))
        victim.write(L.side_offset(side) + L.LINK_COUNTERS_OFFSET, dice.randbytes(2 * 8 * L.LINK_SLOT_WORDS))
    for side in (L.HOST, L.CARD):
        until(lambda side=side: victim.events(side).get("ledger_restored") == 2, "both ends are restored")  # type: ignore[misc]
    after = wait_for_rest(victim.lab)[0][0]["sides"]
    for one, other in zip(before, after, strict=True):
        assert one["tx"]["tx_taken"] <= other["tx"]["tx_taken"] < one["tx"]["tx_taken"] + 100
        assert other["link"]["link_up"] == one["link"]["link_up"] and other["mtu"] == 1500
    ping(victim.lab, L.HOST)
