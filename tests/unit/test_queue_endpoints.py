"""Queue pairs: one pair of pumps each, commanded as one; ledgers stay exact whenever a side is killed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.queue_harness import PACKET, PAIRS, PumpSides
from vnetcard.agent.control import Lease
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.link import queues
from vnetcard.link.endpoints import Generation, PumpEndpoints
from vnetcard.link.queues import LedgerTotals, total_received, total_sent
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Reader, TapRequest

NOTHING = Generation(0, 0, 0)
OLD, NEW = (1, 2), (3, 4)


def sent(*rows: tuple[tuple[int, int], int]) -> Generation:
    """The total over queues with these tx ledgers."""
    return total_sent([LedgerTotals(Generation(*epochs, records), NOTHING, 0) for epochs, records in rows])


def received(*rows: tuple[tuple[int, int], int, int]) -> Generation:
    """The total over queues with these rx ledgers; the serial is last."""
    return total_received(
        [LedgerTotals(NOTHING, Generation(*epochs, records), serial) for epochs, records, serial in rows]
    )


@contextlib.contextmanager
def running(pairs: int) -> Iterator[PumpSides]:
    both = PumpSides(pairs)
    for side in (L.HOST, L.CARD):
        both.start(side)
    both.settle()
    yield both
    both.close()


@pytest.fixture
def two() -> Iterator[PumpSides]:
    """Both sides serve two of the window's three pairs."""
    with running(PAIRS) as both:
        yield both


@pytest.fixture(params=[1, PAIRS])
def any_two(request: pytest.FixtureRequest) -> Iterator[PumpSides]:
    """The same, and both sides of a window that has one pair."""
    with running(request.param) as both:
        yield both


# --- constructed ledgers -----------------------------------------------------------------------------------


def test_records_sent_are_summed_over_queues_of_one_generation() -> None:
    assert sent((OLD, 5), (OLD, 7), (OLD, 0)) == Generation(*OLD, 12)


def test_generation_is_settled_once_queue_0_has_settled() -> None:
    assert sent(((0, 0), 0), (OLD, 7), (OLD, 9)) == NOTHING
    assert sent(((0, 0), 0), ((0, 0), 0), (OLD, 9)) == NOTHING


def test_generation_has_begun_once_queue_0_has_begun_it() -> None:
    assert sent(((0, 0), 0), (OLD, 7), (NEW, 0)) == NOTHING
    assert sent((NEW, 0), (NEW, 0), (NEW, 0)) == Generation(*NEW, 0)


def test_queue_of_an_older_generation_does_not_count() -> None:
    assert sent((NEW, 4), (NEW, 1), (OLD, 100)) == Generation(*NEW, 5)


def test_records_received_are_summed_over_queues_of_the_last_generation() -> None:
    assert received((OLD, 5, 3), (OLD, 7, 3), ((0, 0), 0, 0)) == Generation(*OLD, 12)


@pytest.mark.parametrize("queue", range(PAIRS))
def test_first_record_on_any_queue_begins_the_generation(queue: int) -> None:
    rows = [(OLD, 5, 3)] * PAIRS
    rows[queue] = (NEW, 1, 4)
    assert received(*rows) == Generation(*NEW, 1)


def test_ledgers_without_serials_count() -> None:
    assert received((OLD, 5, 0), ((0, 0), 0, 0)) == Generation(*OLD, 5)
    assert received((NEW, 5, 7), (OLD, 9, 7)) == Generation(*NEW, 5), "software without serials wrote to queue 0 alone"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=12), st.randoms())
def test_records_of_the_last_generation_are_counted_in_any_order_of_queues(
    bursts: list[tuple[int, int]], chance: random.Random
) -> None:
    """Models count_record() of vnc_rx.c: generations follow one another, queues are used in any order."""
    ledgers = [((0, 0), 0, 0)] * PAIRS
    generation, count = 0, 0
    for new, records in bursts:
        if new or not generation:
            generation, count = generation + 1, 0
            serial = 1 + max(row[2] for row in ledgers)
        for _ in range(records):
            queue = chance.randrange(PAIRS)
            epochs, so_far, _ = ledgers[queue]
            ledgers[queue] = ((generation, 9), so_far + 1 if epochs == (generation, 9) else 1, serial)
            count += 1
    assert received(*ledgers) == Generation(generation, 9, count)


# --- pumps -----------------------------------------------------------------------------------------------


def test_each_queue_carries_its_own_packets(two: PumpSides) -> None:
    two.send(L.HOST, 3, 4)
    two.send(L.CARD, 5, 0)
    two.settle()
    assert (two.received(L.CARD), two.received(L.HOST)) == ([3, 4, 0], [5, 0, 0])
    assert [two.side(L.CARD).port.far[1].recv(100) for _ in range(4)] == [PACKET] * 4


@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
def test_restart_with_empty_rings_loses_nothing(any_two: PumpSides, victim: int) -> None:
    any_two.send_over_all(victim, 27)
    any_two.send_over_all(1 - victim, 31)
    any_two.settle()
    any_two.crash(victim)
    any_two.start(victim)
    any_two.settle()
    assert (any_two.lost(L.HOST), any_two.lost(L.CARD)) == (0, 0)


def restart_until_one_runs(two: PumpSides, first: int) -> None:
    """Kill and restart side ``first`` until it runs, while the other has answered it but not settled yet."""
    two.crash(first)
    runner, late = two.start(first), two.side(1 - first)
    late.link.tick()  # answers the new epoch
    while not runner.runs:
        runner.link.tick()
    assert not late.runs, "it must not have settled yet"


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
@pytest.mark.parametrize(
    ("pairs", "counts"), [(1, (50,)), (PAIRS, (50, 20)), (PAIRS, (0, 20)), (PAIRS, (50, 0))], ids=str
)
def test_side_killed_before_it_settled_still_finds_the_older_generation(
    first: int, pairs: int, counts: tuple[int, ...]
) -> None:
    second = 1 - first
    with running(pairs) as two:
        two.send(second, *counts)
        two.settle()
        restart_until_one_runs(two, first)
        two.crash(second)
        two.start(second)
        two.settle()
        assert two.lost(second) == 0, "all packets had arrived"
        two.send(second, *([0] * (len(counts) - 1)), 7)
        two.send(first, 7)
        two.settle()
        assert (two.lost(L.HOST), two.lost(L.CARD)) == (0, 0)


def test_generations_on_other_queues_than_queue_0_are_in_order(two: PumpSides) -> None:
    """Records arrive on queue 1 in one generation and on queue 2 in the next; queue 0 is idle."""
    for side in (L.HOST, L.CARD):
        two.crash(side)
        two.start(side, 3)
    two.settle()
    for counts in ((0, 5, 0), (0, 0, 4), (0, 3, 0)):
        two.send(L.HOST, *counts)
        two.settle()
        two.crash(L.CARD)
        two.start(L.CARD, 3)
        two.settle()
    assert two.lost(L.HOST) == 0, "all packets had arrived"


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
def test_packets_sent_to_a_side_that_dies_before_it_runs_are_lost(any_two: PumpSides, first: int) -> None:
    second = 1 - first
    any_two.send_over_all(first, 100)
    any_two.settle()
    restart_until_one_runs(any_two, first)
    any_two.send_over_all(first, 9)
    any_two.crash(second)
    any_two.start(second)
    any_two.settle()
    assert (any_two.lost(first), any_two.lost(second)) == (9, 0)


@pytest.mark.slow
@pytest.mark.parametrize("again", [1, 2, 3])
@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
def test_restart_with_another_number_of_queues_reads_all_ledgers(two: PumpSides, victim: int, again: int) -> None:
    two.send(victim, 20, 7)
    two.send(1 - victim, 3, 11)
    two.settle()
    two.crash(victim)
    two.start(victim, again)
    two.settle()
    assert (two.lost(L.HOST), two.lost(L.CARD)) == (0, 0)
    assert two.side(1 - victim).port.used == min(2, again)
    two.send(victim, *[5] * min(2, again))
    two.settle()
    two.crash(victim)
    two.start(victim, 2)
    two.settle()
    assert (two.lost(L.HOST), two.lost(L.CARD)) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
@pytest.mark.parametrize(
    ("pairs", "queue", "again"), [(1, 0, 1), *((PAIRS, n, again) for n in (0, 1) for again in (1, 2))]
)
def test_packet_that_died_inside_its_read_is_counted(victim: int, pairs: int, queue: int, again: int) -> None:
    """The agent was killed after the kernel had filled the place in the ring, and before it published anything.

    A successor that does not serve the queue any more counts it, too.
    """
    with running(pairs) as two:
        two.send_over_all(victim, 10)
        two.settle()
        two.crash(victim)
        ring = two.geometry.rings[queue][victim]
        prod = two.memory.load32(L.queue_offset(queue) + L.QUEUE_LINES[f"{L.DIRECTIONS[victim]}_prod"])
        two.memory.write(ring.offset + (prod & (ring.size - 1)) + L.RECORD_HEADER, b"\x45 packet")
        for _ in range(2):
            two.start(victim, again)
            two.settle()
            assert (two.tx(victim).ledger["tx_taken"], two.lost(victim)) == (11, 1), "counted once"
            two.crash(victim)


def test_queue_that_is_not_served_has_no_pump(two: PumpSides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ledgers are read, and its indices reset, without a thread."""
    two.send(L.HOST, 5, 5)
    two.settle()
    two.crash(L.HOST)
    pairs: list[PumpEndpoints] = []
    make = PumpEndpoints

    def spy(*args: Any, **kwargs: Any) -> PumpEndpoints:
        pairs.append(make(*args, **kwargs))
        return pairs[-1]

    monkeypatch.setattr(queues, "PumpEndpoints", spy)
    two.start(L.HOST, 1)
    two.settle()
    assert len(pairs) == 1
    assert two.lost(L.HOST) == 0, "the ledger of queue 1 was not read"


def test_packets_from_a_queue_that_is_not_agreed_are_counted_as_dropped(two: PumpSides) -> None:
    two.crash(L.CARD)
    two.start(L.CARD, 1)
    two.settle()
    two.send(L.HOST, 2, 3)
    two.settle()
    ledger = two.tx(L.HOST).ledger
    assert (ledger["tx_sent"], ledger["drop_link_down"]) == (2, 3)


def test_packets_from_all_queues_are_counted_as_dropped_while_the_peer_is_dead(two: PumpSides) -> None:
    two.crash(L.CARD)
    host = two.side(L.HOST)
    host.endpoints.drop(peer_dead=True)
    two.send(L.HOST, 2, 3)
    assert two.tx(L.HOST).ledger["drop_peer_dead"] == 5
    two.start(L.CARD)
    two.settle()


def test_violation_on_any_queue_leads_to_a_new_epoch(two: PumpSides) -> None:
    host = two.side(L.HOST)
    before = host.link.epoch
    two.memory.store32(L.queue_offset(1) + L.QUEUE_LINES["c2h_prod"], 1)
    while host.link.epoch == before:
        host.link.tick()
    two.settle()
    two.send(L.HOST, 1, 1)
    two.send(L.CARD, 1, 1)
    two.settle()


def test_tap_has_the_packets_of_every_queue_with_its_number(two: PumpSides) -> None:
    registry = TapRegistry(L.HOST, lambda: None)
    registry.queues = 2
    lease = registry.lend(TapRequest(T.mask(("COMMIT", "PEEK"))).as_question())
    assert isinstance(lease, Lease)
    registry.settle(two.side(L.HOST).endpoints.pairs)
    reader = Reader(lease.fd)
    two.send(L.HOST, 2, 3)
    two.send(L.CARD, 0, 1)
    two.settle()
    names = sorted((event.stage, *event.record[:2], event.seq) for event in reader.drain())
    assert names == [
        *(("COMMIT", "h2c", 0, seq) for seq in range(2)),
        *(("COMMIT", "h2c", 1, seq) for seq in range(3)),
        ("PEEK", "c2h", 1, 0),
    ]
    assert (reader.noted, reader.missed) == (6, 0)
    reader.close()
    lease.end()
    registry.settle(two.side(L.HOST).endpoints.pairs)
    registry.close()


@pytest.mark.slow
@pytest.mark.parametrize("victims", [(L.HOST,), (L.CARD,), (L.HOST, L.CARD)])
def test_ledgers_balance_after_kills_under_load(two: PumpSides, victims: tuple[int, ...]) -> None:
    """Packets wait in rings and ports when a side dies."""
    for round_ in range(6):
        for side in (L.HOST, L.CARD):
            for far in two.side(side).port.far:
                for _ in range(30 + round_):
                    far.send(PACKET)
        for victim in victims:
            two.crash(victim)
        for victim in victims:
            two.start(victim, 1 + round_ % PAIRS)
        two.settle()
