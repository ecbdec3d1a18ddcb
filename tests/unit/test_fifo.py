"""A Fifo returns packets unchanged and in order, and checks everything that its peer writes."""

from __future__ import annotations

import threading
from collections import deque

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.unit.c_build import seed
from tests.unit.fifo_harness import (
    CONS,
    FIFO,
    FRAME_MAX,
    GEOMETRY,
    LAST_LINE,
    PROD,
    RING,
    WINDOW,
    guarded_memory,
    pattern,
)
from tests.unit.memories import KINDS
from vnetcard._core import Memory
from vnetcard.errors import Closed, ConfigError, FrameTooLarge
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo

# --- packets and batches -------------------------------------------------------------------------------


def test_full_ring_refuses_push_and_changes_nothing(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    packets = [pattern(48, n) for n in range(RING // L.LINE)]
    assert all(producer.try_push(packet) for packet in packets)
    before = memory.read(0, WINDOW)
    assert producer.try_push(b"x") is False
    assert memory.read(0, WINDOW) == before
    assert producer.counters.full == 1
    assert consumer.pop_batch(1000) == packets


def test_empty_ring_gives_none(consumer: Fifo) -> None:
    assert consumer.try_pop() is None
    assert consumer.pop_batch() == []
    assert consumer.fill == 0


@pytest.mark.parametrize("start", [0, LAST_LINE, 2**32 - RING + L.LINE], ids=hex)
def test_every_size_arrives_as_it_was(producer: Fifo, consumer: Fifo, start: int) -> None:
    producer.reset(start)
    consumer.reset(start)
    sizes = {n + d for n in range(0, FRAME_MAX + 1, L.LINE) for d in (-17, -16, -15, -1, 0, 1)} | {FRAME_MAX}
    for size in sorted(n for n in sizes | set(range(1, 200)) if 1 <= n <= FRAME_MAX):
        packet = pattern(size, size)
        assert producer.try_push(packet)
        assert consumer.try_pop() == packet


def test_payload_that_wraps_arrives_whole(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    for start in range(0, RING, L.LINE):
        producer.reset(start)
        consumer.reset(start)
        packet = pattern(FRAME_MAX, start)
        assert producer.try_push(packet)
        assert consumer.try_pop() == packet
        assert memory.load32(CONS) == start + RING


def test_batch_pushes_what_fits_and_moves_prod_by_it(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    packets = [pattern(1000, n) for n in range(6)]
    fit = RING // L.align_record(1000)
    assert producer.push_batch(packets) == fit
    assert memory.load32(PROD) == fit * L.align_record(1000)
    assert consumer.pop_batch(2) == packets[:2]
    assert memory.load32(CONS) == 2 * L.align_record(1000)
    assert consumer.pop_batch() == packets[2:fit]


def test_counters_count_what_went_through(producer: Fifo, consumer: Fifo) -> None:
    producer.try_push(b"abc")
    producer.push_batch([b"de", pattern(FRAME_MAX)])
    consumer.pop_batch(1)
    consumer.try_pop()
    sent, got = producer.counters, consumer.counters
    assert (sent.pushed, sent.pushed_bytes, sent.full) == (2, 5, 1)
    assert (got.popped, got.popped_bytes) == (2, 5)


def test_one_object_may_hold_both_ends(memory: Memory) -> None:
    both = Fifo(memory, GEOMETRY, FIFO, role="both")
    assert both.try_push(b"there and back")
    assert both.fill == L.LINE
    assert both.try_pop() == b"there and back"


@pytest.mark.parametrize("frame_max", [1, 100, FRAME_MAX])
def test_frame_above_the_maximum_is_refused(memory: Memory, frame_max: int) -> None:
    fifo = Fifo(memory, GEOMETRY, FIFO, role="producer", frame_max=frame_max)
    for packet in (b"", bytes(frame_max + 1)):
        with pytest.raises(FrameTooLarge, match=f"of {len(packet)} bytes.*1 to {frame_max}"):
            fifo.try_push(packet)
        with pytest.raises(FrameTooLarge):
            fifo.push_batch([b"good", packet])
    assert fifo.fill == 0
    assert fifo.try_push(bytes(frame_max))


def test_closed_fifo_says_so(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    for fifo in (producer, consumer):
        fifo.close()
        fifo.close()
    with pytest.raises(Closed):
        producer.try_push(b"x")
    with pytest.raises(Closed):
        producer.push_batch([b"x"])
    with pytest.raises(Closed):
        consumer.try_pop()
    with pytest.raises(Closed):
        consumer.pop_batch()
    memory.close()  # nothing uses it any more


def test_the_end_that_an_object_lacks_raises_closed(producer: Fifo, consumer: Fifo) -> None:
    with pytest.raises(Closed):
        producer.try_pop()
    with pytest.raises(Closed):
        consumer.try_push(b"x")


def test_unknown_fifo_is_refused(memory: Memory) -> None:
    for direction, queue in (("h2x", 0), (FIFO, 1), (FIFO, -1)):
        with pytest.raises(ConfigError):
            Fifo(memory, GEOMETRY, direction, role="both", queue=queue)


@pytest.mark.slow
def test_threads_may_share_an_end(producer: Fifo, consumer: Fifo, count: int = 3000) -> None:
    got: list[list[bytes]] = [[], []]
    left = threading.Semaphore(2 * count)

    def push(tag: int) -> None:
        for n in range(count):
            while not producer.try_push(bytes([tag]) + n.to_bytes(4, "big")):
                pass

    def pop(mine: list[bytes]) -> None:
        while left.acquire(blocking=False):
            while (packet := consumer.try_pop()) is None:
                pass
            mine.append(packet)

    threads = [threading.Thread(target=push, args=(tag,)) for tag in range(2)]
    threads += [threading.Thread(target=pop, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got[0] + got[1]) == sorted(
        bytes([tag]) + n.to_bytes(4, "big") for tag in range(2) for n in range(count)
    )
    for mine in got:  # what one thread pushed, another sees in that order
        for tag in range(2):
            only = [packet for packet in mine if packet[0] == tag]
            assert only == sorted(only)


# --- against a model -----------------------------------------------------------------------------------


class RingAgainstDeque(RuleBasedStateMachine):
    """Whatever is pushed and popped in whatever order, the ring behaves as a deque of limited size."""

    packets = st.integers(1, FRAME_MAX).flatmap(lambda n: st.just(n) if n < 300 else st.sampled_from([n, n % 300 + 1]))

    @initialize(start=st.integers(-2 * RING // L.LINE, 2), kind=st.sampled_from(KINDS))
    def begin(self, start: int, kind: str) -> None:
        memory = guarded_memory(kind)
        self.tx, self.rx = (Fifo(memory, GEOMETRY, FIFO, role=role) for role in ("producer", "consumer"))
        self.model: deque[bytes] = deque()
        self.tag = 0
        for end in (self.tx, self.rx):
            end.reset(start * L.LINE % 2**32)

    def used(self) -> int:
        return sum(L.align_record(len(packet)) for packet in self.model)

    def make(self, size: int) -> bytes:
        self.tag += 1
        return pattern(size, self.tag)

    def push_to_model(self, packet: bytes) -> bool:
        if self.used() + L.align_record(len(packet)) > RING:
            return False
        self.model.append(packet)
        return True

    @rule(size=packets)
    def push(self, size: int) -> None:
        packet = self.make(size)
        assert self.tx.try_push(packet) == self.push_to_model(packet)

    @rule(sizes=st.lists(packets, max_size=6))
    def push_batch(self, sizes: list[int]) -> None:
        packets = [self.make(size) for size in sizes]
        fit = 0
        while fit < len(packets) and self.push_to_model(packets[fit]):
            fit += 1
        assert self.tx.push_batch(packets) == fit

    @rule()
    def pop(self) -> None:
        assert self.rx.try_pop() == (self.model.popleft() if self.model else None)

    @rule(most=st.integers(0, 8))
    def pop_batch(self, most: int) -> None:
        expected = [self.model.popleft() for _ in range(min(most, len(self.model)))]
        assert self.rx.pop_batch(most) == expected

    @invariant()
    def both_ends_agree_on_the_fill(self) -> None:
        if hasattr(self, "model"):
            assert self.tx.fill == self.rx.fill == self.used()


@pytest.mark.slow
def test_ring_behaves_as_a_deque() -> None:
    hypothesis_seed(seed())(RingAgainstDeque)
    quick = settings(
        max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(RingAgainstDeque, settings=quick)
