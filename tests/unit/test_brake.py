"""Whatever a peer does, restarts and carrier changes stay within their bounds, and an honest one is up again soon."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from tests.unit.c_build import seed
from tests.unit.link_harness import MTU, LinkHarness
from vnetcard import _core
from vnetcard.codes.link import LinkReason
from vnetcard.link import brake
from vnetcard.link.brake import BackOff, Brake
from vnetcard.link.types import LinkState
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock

STEP = 0.001
ATTACK = 20.0
LINES = 10
"""Lines that a link may report per second, on the average; the agent bounds them in each second."""
HONEST_LIMIT = 2.0
"""Seconds until an honest peer is up after any attack."""


def busiest(times: list[float], span: float = 1.0) -> int:
    """The largest number of ``times`` within any ``span`` seconds."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= span - STEP / 2:
            first += 1
        most = max(most, last - first + 1)
    return most


class Attacker:
    """The card's side of a harness, written word by word: one attack, a thousand times a second."""

    def __init__(self, harness: LinkHarness) -> None:
        self.harness, self.host = harness, harness.host
        self.block = SideBlock(harness.card.memory, L.CARD)
        self.fresh = itertools.count(0xBEEF)
        self.dice = random.Random(seed())
        self.carriers: list[float] = []
        self.lines: list[float] = []
        carrier, report = self.host.journal.carrier, self.host.journal.report

        def count_carrier(up: bool, reason: str) -> None:
            self.carriers.append(harness.clock.now)
            carrier(up, reason)

        def count_report(message: str, code: LinkReason) -> None:
            self.lines.append(harness.clock.now)
            report(message, code)

        self.host.journal.carrier = count_carrier  # type: ignore[method-assign]
        self.host.journal.report = count_report  # type: ignore[method-assign]
        self.greet()

    def say(self, **words: int) -> None:
        for name, value in words.items():
            self.block.store(name, value)

    def greet(self) -> None:
        """Behave like a peer whose epoch is new."""
        self.say(version=L.VERSION, mtu=MTU, features=0, queue_mask=1, epoch=next(self.fresh))

    def answer(self) -> None:
        self.say(answered=self.host.alive.epoch)

    # --- attacks; each call is one step of it ---

    def violates(self) -> None:
        self.answer()
        if self.host.running:
            self.host.endpoints._events |= _core.EVENT_VIOLATION

    def violates_with_new_epochs(self) -> None:
        self.violates()
        if not self.host.running:
            self.greet()

    def behaves_before_it_violates(self) -> None:
        """It keeps each epoch for as long as a pause needs to be ended by it."""
        self.answer()
        if self.host.running:
            self.host.endpoints._events |= _core.EVENT_VIOLATION
        elif self.host.alive.state is LinkState.BRAKED and self.dice.randrange(1200) == 0:
            self.greet()

    def restarts(self) -> None:
        self.answer()
        if self.host.running:
            self.greet()

    def changes_epoch(self) -> None:
        self.greet()

    def stops_and_starts(self) -> None:
        self.answer()
        if self.host.running:
            self.say(epoch=0)
        elif not self.block.load("epoch"):
            self.greet()

    def changes_epoch_back(self) -> None:
        self.answer()
        if self.host.running:
            self.host.endpoints._events |= _core.EVENT_EPOCH

    def overwrites_our_block(self) -> None:
        self.answer()
        SideBlock(self.harness.card.memory, L.HOST).store("epoch", self.dice.randrange(1, 2**32))

    def changes_its_version(self) -> None:
        self.answer()
        self.say(version=self.dice.choice([L.VERSION, 7, 8, 9]), epoch=next(self.fresh))

    def changes_its_mtu(self) -> None:
        self.answer()
        self.say(mtu=self.dice.choice([0, 1, MTU]), epoch=next(self.fresh))

    def changes_its_mtu_late(self) -> None:
        if self.host.alive.answered:
            self.say(mtu=self.dice.choice([0, 1, 2]))
            self.answer()
        else:
            self.say(mtu=MTU, answered=0, epoch=next(self.fresh))

    def anything(self) -> None:
        attack = self.dice.choice(ATTACKS[:-1])
        attack(self)


ATTACKS: list[Callable[[Attacker], None]] = [
    Attacker.violates,
    Attacker.violates_with_new_epochs,
    Attacker.behaves_before_it_violates,
    Attacker.restarts,
    Attacker.changes_epoch,
    Attacker.stops_and_starts,
    Attacker.changes_epoch_back,
    Attacker.overwrites_our_block,
    Attacker.changes_its_version,
    Attacker.changes_its_mtu,
    Attacker.changes_its_mtu_late,
    Attacker.anything,
]

HARMLESS = (Attacker.restarts, Attacker.stops_and_starts)
"""What an agent that crashes does, too; the bound on the carrier suffices."""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_attack_is_braked_and_an_honest_peer_is_up_soon(attack: Callable[[Attacker], None]) -> None:
    harness = LinkHarness()
    host = harness.host
    host.start()
    attacker = Attacker(harness)
    states, held = set(), 0.0
    for n in range(round(ATTACK / STEP)):
        harness.clock.now += STEP
        attack(attacker)
        if n % 50 == 0:
            attacker.block.beat()
        host.tick()
        states.add(host.alive.state)
        held = max(held, host.alive.braked_for())
    assert busiest(attacker.carriers) <= brake.CARRIER_CHANGES
    assert len(attacker.lines) <= LINES * ATTACK
    counters = host.counters()
    assert counters["link_up"] <= brake.CARRIER_CHANGES / 2 * ATTACK + 1
    assert bool(counters["braked"]) == (LinkState.BRAKED in states)
    assert attack in HARMLESS or held > 1.0

    harness.card.start()
    harness.go_on(HONEST_LIMIT)
    assert host.running and harness.card.running and host.alive.braked_for() == 0
    assert harness.host.send() and harness.card.receive()


def test_braked_link_names_its_cause_and_pauses_longer_each_time() -> None:
    harness = LinkHarness()
    harness.start()
    pauses = []
    for _ in range(4):
        harness.host.endpoints._events |= _core.EVENT_VIOLATION
        harness.host.tick()
        link = harness.host.alive
        assert (link.state, link.reason_code) == (LinkState.BRAKED, LinkReason.FORMAT_VIOLATION)
        pauses.append(round(link.braked_for(), 3))
        harness.go_on(link.braked_for() + 1.1)
        assert harness.host.running
    assert pauses == [0.1, 0.2, 0.4, 0.8]
    assert harness.host.counters()["braked"] == 4
    harness.go_on(BackOff.LONGEST + BackOff.QUIET)
    harness.host.endpoints._events |= _core.EVENT_VIOLATION
    harness.host.tick()
    assert round(harness.host.alive.braked_for(), 3) == BackOff.FIRST


def test_heart_beats_and_the_device_is_watched_during_a_pause() -> None:
    harness = LinkHarness()
    harness.start()
    for _ in range(5):
        harness.host.endpoints._events |= _core.EVENT_VIOLATION
        harness.host.tick()
        if harness.host.alive.braked_for() < 1:
            harness.go_on(2.0)
    assert harness.host.alive.braked_for() > 1
    before = harness.host.alive.own.load("heartbeat")
    harness.go_on(0.5)
    assert harness.host.alive.own.load("heartbeat") >= before + 4
    harness.host.mortal.device_gone = True
    harness.go_on(0.1)
    assert harness.host.alive.state is LinkState.GONE


@pytest.mark.parametrize("beats", [True, False])
def test_pause_ends_early_only_for_a_new_peer_with_a_heartbeat(beats: bool) -> None:
    one, now, beat = Brake(), 1000.0, 0
    while one.apply(now, epoch=7) < BackOff.LONGEST:
        now += 1.0
    until = now + BackOff.LONGEST
    for epoch, early in ((7, False), (0, False), (8, beats)):
        start = now
        while one.holds(now, epoch, beat) and now < start + 1.5:
            now += 0.05
            beat += beats
        assert (now < start + 1.5) == early
        assert now < until
