"""The ledger over a restart, step by step and without root: pumps between sockets, links ticked by hand."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator

import pytest

from vnetcard._core import Memory
from vnetcard.codes.link import LinkReason
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port.memory_pair import open_port
from vnetcard.ring import layout as L
from vnetcard.ring.counters import balance, read_end
from vnetcard.ring.geometry import Geometry


class Side:
    """An agent reduced to its link and its pumps; ``crash`` ends it as kill -9 does: nothing is published or stored."""

    def __init__(self, memory: Memory, geometry: Geometry, side: int) -> None:
        self.port = open_port("side")
        self._attention = os.eventfd(0, os.EFD_NONBLOCK)
        self._ends = PumpEndpoints(
            memory, geometry, side, self.port, attention_fd=self._attention, wait="adaptive", futex=True
        )
        self.link = Link(memory, side, self._ends, self, Offer(0, 1500))
        self.link.start()

    def link_up(self, agreement: Agreement) -> None: ...

    def carrier(self, up: bool, reason: str) -> None: ...

    def report(self, message: str, code: LinkReason) -> None: ...

    @property
    def runs(self) -> bool:
        return self.link.state is LinkState.RUN

    def crash(self) -> None:
        self._ends.close()
        self.port.close()
        os.close(self._attention)


class Two:
    """Both sides over one window."""

    def __init__(self) -> None:
        self.geometry = Geometry.plan(64 << 10, instance=1, removable=False)
        self.memory = Memory(mmap.mmap(-1, 64 << 10))
        self.sides: list[Side | None] = [None, None]

    def start(self, side: int) -> Side:
        self.sides[side] = started = Side(self.memory, self.geometry, side)
        return started

    def crash(self, side: int) -> None:
        victim = self.sides[side]
        assert victim is not None
        self.sides[side] = None
        victim.crash()

    def settle(self) -> None:
        """Tick both until they run and the rings are empty."""
        deadline = time.monotonic() + 20
        while not (all(side and side.runs for side in self.sides) and not any(self.owed())):
            assert time.monotonic() < deadline, f"not at rest: {self.owed()}"
            for side in self.sides:
                assert side is not None
                side.link.tick()
            time.sleep(0.001)

    def owed(self) -> list[int]:
        """In flight, for both directions, in records."""
        return [balance(self.memory, direction, 0).in_flight for direction in L.DIRECTIONS]

    def send(self, side: int, count: int) -> None:
        """``count`` packets go in at ``side``; returns once its pump has taken all."""
        source = self.sides[side]
        assert source is not None
        want = self.taken(side) + count
        for _ in range(count):
            source.port.far.send(b"a packet")
        deadline = time.monotonic() + 20
        while self.taken(side) < want:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def taken(self, side: int) -> int:
        return read_end(self.memory, L.DIRECTIONS[side], tx=True).ledger["tx_taken"]

    def lost(self, side: int) -> int:
        return read_end(self.memory, L.DIRECTIONS[side], tx=True).ledger["lost_restart"]


@pytest.fixture
def two() -> Iterator[Two]:
    both = Two()
    for side in (L.HOST, L.CARD):
        both.start(side)
    both.settle()
    yield both
    for side in (L.HOST, L.CARD):
        if both.sides[side] is not None:
            both.crash(side)


@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
def test_nothing_is_lost_by_a_restart_at_rest(two: Two, victim: int) -> None:
    two.send(victim, 20)
    two.send(1 - victim, 30)
    two.settle()
    two.crash(victim)
    two.start(victim)
    two.settle()
    assert (two.lost(L.HOST), two.lost(L.CARD)) == (0, 0)


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
def test_a_side_killed_before_it_settled_finds_the_count_of_the_older_generation(two: Two, first: int) -> None:
    """The side that restarted first runs already; the other is killed between its answer and its own run."""
    second = 1 - first
    two.send(second, 50)
    two.settle()
    two.crash(first)
    runner, late = two.start(first), two.sides[second]
    assert late is not None
    late.link.tick()  # answers the new epoch
    while not runner.runs:
        runner.link.tick()
    assert not late.runs, "it has not ticked again, so it has not settled"
    two.crash(second)
    two.start(second)
    two.settle()
    assert two.owed() == [0, 0]
    assert two.lost(second) == 0, "all 50 had arrived"
    two.send(second, 7)
    two.send(first, 7)
    two.settle()
    assert (two.lost(L.HOST), two.lost(L.CARD)) == (0, 0)


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
def test_what_a_side_sent_that_runs_already_is_lost_when_the_other_dies_before_it_runs(two: Two, first: int) -> None:
    second = 1 - first
    two.send(first, 50)
    two.settle()
    two.crash(first)
    runner, late = two.start(first), two.sides[second]
    assert late is not None
    late.link.tick()
    while not runner.runs:
        runner.link.tick()
    two.send(first, 9)
    two.crash(second)
    two.start(second)
    two.settle()
    assert two.owed() == [0, 0]
    assert (two.lost(first), two.lost(second)) == (9, 0)


@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
def test_a_packet_that_died_inside_its_read_is_counted(two: Two, victim: int) -> None:
    """Killed after the kernel has filled the place in the ring and before anything was published: taken, sent, lost."""
    two.send(victim, 5)
    two.settle()
    two.crash(victim)
    ring = two.geometry.rings[0][victim]
    line = L.queue_offset(0) + L.QUEUE_LINES[f"{L.DIRECTIONS[victim]}_prod"]
    place = ring.offset + (two.memory.load32(line) & (ring.size - 1))
    two.memory.write(place + L.RECORD_HEADER, b"\x45 packet")
    two.start(victim)
    two.settle()
    assert (two.taken(victim), two.lost(victim)) == (6, 1)
    two.crash(victim)
    two.start(victim)
    two.settle()
    assert (two.taken(victim), two.lost(victim)) == (6, 1), "counted once"
