"""Either side may die, stall, stop and start at any moment: packets are right or accounted for; the link returns."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.unit.c_build import seed
from tests.unit.copier_harness import CopierHarness
from tests.unit.link_harness import MTU, LinkHarness, Side
from tests.unit.queue_harness import QueueLinkHarness
from vnetcard.link.types import Offer
from vnetcard.ring import layout as L

RECOVERY = 3.0
"""Seconds of fake time within which the link must be up again."""
STORES_IN_A_TICK = 24
CSUM = L.FEATURES["CSUM"]

sides = st.integers(0, 1)
pytestmark = pytest.mark.usefixtures("memory_kind")


class Faults(RuleBasedStateMachine):
    """Two sides with faults between their steps and inside them."""

    engine = False
    examples = 300

    def __init__(self) -> None:
        super().__init__()
        self.harness = self.made(Offer(CSUM, MTU), Offer(CSUM, MTU))

    def made(self, host: Offer, card: Offer) -> LinkHarness:
        return LinkHarness(host, card, engine=self.engine)

    @initialize(up=st.booleans(), counts=st.tuples(*[st.integers(0, 5)] * 4))
    def begin(self, up: bool, counts: tuple[int, int, int, int]) -> None:
        if up:
            self.harness.start()
            self.send(0, counts[0]), self.send(1, counts[1])
            self.receive(0, counts[2]), self.receive(1, counts[3])

    def side(self, n: int) -> Side:
        return self.harness.sides[n]

    @rule(n=sides)
    def start(self, n: int) -> None:
        if self.side(n).link is None:
            self.side(n).start()

    @rule(n=sides, count=st.integers(1, 3))
    def tick(self, n: int, count: int) -> None:
        for _ in range(count):
            self.harness.clock.now += 0.001
            self.side(n).tick()

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.5, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.harness.clock.now += seconds

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.5]))
    def both_live_on(self, seconds: float) -> None:
        self.harness.go_on(seconds)

    @rule(n=sides, count=st.integers(1, 80))
    def send(self, n: int, count: int) -> None:
        side = self.side(n)
        while side.link is not None and not side.stalled and count and side.send():
            count -= 1

    @rule(n=sides, count=st.integers(1, 80))
    def receive(self, n: int, count: int) -> None:
        side = self.side(n)
        while side.link is not None and not side.stalled and count and side.receive():
            count -= 1

    @rule(steps=st.integers(1, 4))
    def engine_works(self, steps: int) -> None:
        for _ in range(steps):
            if self.harness.engine is not None:
                self.harness.engine.step()

    @rule(n=sides)
    def crash(self, n: int) -> None:
        if self.side(n).link is not None:
            self.side(n).crash()

    @rule(n=sides, stores=st.integers(0, STORES_IN_A_TICK), what=st.sampled_from(["tick", "tick", "stop"]))
    def crash_inside(self, n: int, stores: int, what: str) -> None:
        side = self.side(n)
        if side.link is not None and not side.stalled and not side.dies_in(stores, what) and what == "stop":
            side.crash()

    @rule(n=sides)
    def restarts_itself(self, n: int) -> None:
        """A new epoch from a side that lives, as when its kernel refuses an offload."""
        if self.side(n).running and not self.side(n).stalled:
            self.side(n).alive.withdraw(CSUM, "")
            self.side(n).alive.offer.features = CSUM  # to be offered again the next time

    @rule(n=sides)
    def restart(self, n: int) -> None:
        if self.side(n).link is not None:
            self.side(n).crash()
        self.side(n).start()

    @rule(n=sides)
    def stop_cleanly(self, n: int) -> None:
        if self.side(n).link is not None:
            self.side(n).stop()

    @rule(n=sides)
    def stall_or_wake(self, n: int) -> None:
        self.side(n).stalled = not self.side(n).stalled

    @invariant()
    def no_honest_peer_is_accused(self) -> None:
        for side in self.harness.sides:
            if side.link is not None:
                count = side.counters()
                assert (count["viol_side_block"], count["viol_final_count"], count["own_restart"]) == (0, 0, 0)

    def teardown(self) -> None:
        for side in self.harness.sides:
            side.stalled = False
            if side.link is None:
                side.start()
        self.harness.go_on(RECOVERY)
        assert all(side.running and side.journal.up for side in self.harness.sides)
        self.harness.drain()
        self.harness.check_ledgers()
        for side in self.harness.sides:
            assert side.send()
        self.harness.drain()
        self.harness.check_ledgers()


class FaultsThroughEngine(Faults):
    """The same with an engine between the two: what is stored gets across when the engine works, or on waiting."""

    engine = True

    def __init__(self) -> None:
        super().__init__()
        self.others = "wait"
        self._inside = False
        for n in (0, 1):
            self.side(n).meanwhile = functools.partial(self.while_waiting, n)

    @rule(what=st.sampled_from(["wait", "act first", "act later"]))
    def others_now(self, what: str) -> None:
        """What the peer does while a side waits for the engine, from here on."""
        self.others = what

    def while_waiting(self, n: int) -> None:
        peer, engine = self.side(1 - n), self.harness.engine
        assert engine is not None
        if self.others != "act first":
            engine.step()
        if self.others != "wait" and not self._inside and peer.link is not None and not peer.stalled:
            self._inside = True
            peer.send()
            peer.receive()
            peer.tick()
            peer.send()
            self._inside = False
        if self.others == "act first":
            engine.step()


class FaultsThroughCopier(Faults):
    """The same where the host's stores, and what it sees, cross in transfers, between which the card acts."""

    examples = 200

    def __init__(self) -> None:
        super().__init__()
        self.others = self._count = 0
        self.hit = ("", 0)
        self._inside = False

    def made(self, host: Offer, card: Offer) -> LinkHarness:
        harness = CopierHarness(host, card)
        harness.transfers.before = self.between
        return harness

    @rule(every=st.integers(0, 7))
    def card_acts_now(self, every: int) -> None:
        """The card acts before each transfer whose number is a multiple of ``every``; 0: before none."""
        self.others = every

    @rule(steps=st.integers(1, 4))
    def copier_works(self, steps: int) -> None:
        host = self.side(L.HOST)
        for _ in range(steps):
            if host.link is not None and not host.stalled:
                host.copier.step()  # type: ignore[attr-defined]

    @rule(then=st.sampled_from(["restart", "withdraw", "crash"]), after=st.integers(1, 12))
    def card_is_hit_between_two_transfers(self, then: str, after: int) -> None:
        self.hit = (then, after)
        self.harness.carry()
        self.hit = ("", 0)

    def teardown(self) -> None:
        self.others = 0
        super().teardown()

    def between(self) -> None:
        card = self.side(L.CARD)
        if self._inside:
            return
        self._inside = True
        then, after = self.hit
        self.hit = (then, after - 1)
        if then and after == 1:
            if card.link is not None:
                card.crash()
            if then != "crash":
                card.start()
        self._count = (self._count + 1) if self.others else 0
        if self.others and self._count % self.others == 0 and card.link is not None and not card.stalled:
            card.send()
            card.receive()
            card.tick()
            card.send()
        self._inside = False


class FaultsOnQueues(Faults):
    """The same over several queue pairs, of which either side serves another number each time it starts."""

    examples = 200

    def made(self, host: Offer, card: Offer) -> LinkHarness:
        return QueueLinkHarness(host, card)


def run_machine(machine: type[Faults], examples: int, steps: int) -> None:
    hypothesis_seed(seed())(machine)
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    budget = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet)
    run_state_machine_as_test(machine, settings=budget)


MACHINES = pytest.mark.parametrize(
    "machine",
    [Faults, FaultsThroughEngine, FaultsThroughCopier, FaultsOnQueues],
    ids=["shared", "engine", "copier", "queues"],
)
HARNESSES = pytest.mark.parametrize(
    "made",
    [LinkHarness, functools.partial(LinkHarness, engine=True), CopierHarness, QueueLinkHarness],
    ids=["shared", "engine", "copier", "queues"],
)


@pytest.mark.slow
@MACHINES
def test_link_survives_any_sequence_of_faults_of_either_side(machine: type[Faults], memory_kind: str) -> None:
    run_machine(machine, examples=machine.examples // (2 if memory_kind == "coherent" else 6), steps=30)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@MACHINES
def test_link_survives_a_long_sequence_of_faults(machine: type[Faults]) -> None:
    run_machine(machine, examples=6_000, steps=60)


@HARNESSES
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("stores", range(STORES_IN_A_TICK))
@pytest.mark.parametrize("what", ["tick", "stop", "start"])
def test_death_between_any_two_stores_leaves_a_link_that_comes_back(
    victim: int, stores: int, what: str, made: Callable[[], LinkHarness]
) -> None:
    harness = made()
    harness.start()
    hurt, other = harness.sides[victim], harness.sides[1 - victim]
    for side in harness.sides:
        assert side.send() and side.send()
    harness.carry()
    assert hurt.receive() and other.receive()
    if what == "tick":  # the one that answers: its peer is new
        other.crash()
        other.start()
    if what == "start":
        hurt.crash()
        other.tick()
    died = hurt.dies_in(stores, what)
    other.tick()
    if died or what == "stop":
        hurt.crash() if hurt.link is not None else None
        hurt.start()
    harness.go_on(RECOVERY)
    assert hurt.running and other.running
    harness.drain()
    harness.check_ledgers()


@pytest.mark.parametrize("made", [LinkHarness, QueueLinkHarness], ids=["one queue", "queues"])
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("stores", range(STORES_IN_A_TICK))
def test_death_between_any_two_stores_of_the_settlement_counts_what_was_lost_once(
    victim: int, stores: int, made: Callable[[], LinkHarness]
) -> None:
    """Its peer has restarted and has answered: the next tick settles the generation before, and runs."""
    harness = made()
    harness.start()
    hurt, other = harness.sides[victim], harness.sides[1 - victim]
    assert all(hurt.send() for _ in range(12))
    assert all(other.receive() for _ in range(7))
    other.crash()
    other.start()
    hurt.tick()
    other.tick()
    assert not hurt.running
    if hurt.dies_in(stores, "tick"):
        hurt.start()
    harness.go_on(RECOVERY)
    harness.drain()
    harness.check_ledgers()
    assert hurt.ledger.lost == 5


@HARNESSES
@pytest.mark.parametrize("victim", [0, 1])
def test_received_records_are_not_lost_when_a_side_dies_twice_before_the_other_ticks(
    victim: int, made: Callable[[], LinkHarness]
) -> None:
    harness = made()
    harness.start()
    hurt, other = harness.sides[victim], harness.sides[1 - victim]
    assert all(other.send() for _ in range(10))
    harness.carry()
    assert all(hurt.receive() for _ in range(7))
    hurt.crash()
    hurt.start()
    harness.clock.now += 0.02  # a copier polls at a card at rest now and then only
    harness.carry()
    other.tick()  # has answered, but ...
    harness.carry()
    hurt.tick()  # ... only the victim has seen both answers, and runs
    assert hurt.running and not other.running
    hurt.crash()
    hurt.start()
    harness.go_on()
    harness.drain()
    harness.check_ledgers()
    assert other.ledger.lost == 3
