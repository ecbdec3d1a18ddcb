"""A ``World`` of several queue pairs, over FIFOs without threads, whose sides may die between two of their ledgers."""

from __future__ import annotations

import mmap
import random
from dataclasses import dataclass

from tests.unit import link_harness
from tests.unit.link_harness import TAG, Clock, MortalMemory, Side, World
from tests.unit.memories import new_memory
from vnetcard._core import Memory
from vnetcard.link.endpoints import Generation
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import Books, Idle, QueueEndpoints
from vnetcard.link.types import Offer
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.geometry import Geometry

PAIRS = 3
WINDOW = 32 << 10
GEOMETRY = Geometry.plan(WINDOW, queues=PAIRS, instance=1, removable=False)
NOTHING = Generation(0, 0, 0)
BURST = 3
"""Packets that go one after the other into the same queue, or come out of it."""


@dataclass
class Kept:
    """The ledgers of one queue pair."""

    sent: Generation = NOTHING
    received: Generation = NOTHING
    serial: int = 0
    lost: int = 0


class MortalPair(FifoEndpoints):
    """The FIFOs of a queue; ahead of each flip of its tx ledger the process may end."""

    def __init__(self, mortal: MortalMemory, memory: Memory, side: int, queue: int, kept: Kept) -> None:
        super().__init__(memory, GEOMETRY, side, queue=queue)
        self._mortal = mortal
        self._sent, self._received, self._serial, self.lost = kept.sent, kept.received, kept.serial, kept.lost

    def settle(self, lost: int) -> None:
        self._mortal.store()
        super().settle(lost)

    def begin(self, **words: int) -> None:  # type: ignore[override]
        self._mortal.store()
        super().begin(**words)

    def keep(self) -> Kept:
        return Kept(self.sent(), self.received(), self.serial, self.lost)


def mixed(pairs: list[MortalPair], count: int) -> list[MortalPair]:
    """All of them, a few packets long in one order, then in another."""
    return random.Random(count // BURST).sample(pairs, len(pairs))


class QueueSide(Side):
    """A side that serves one pair, two or three, another number at each start."""

    def __init__(self, memory: Memory, clock: Clock, number: int, offer: Offer | None = None) -> None:
        super().__init__(memory, clock, number, offer)
        self.kept = [Kept() for _ in range(PAIRS)]
        self.starts = number
        self._due = [((0, 0), 0)] * PAIRS

    def start(self) -> None:
        self.starts += 1
        self.offer.queues = 1 + self.starts % PAIRS
        self.mortal = MortalMemory(self.memory)
        served = range(self.offer.queues)
        self.pairs = [MortalPair(self.mortal, self.memory, self.number, n, self.kept[n]) for n in served]
        self.queue_ends = QueueEndpoints[FifoEndpoints](
            list(self.pairs), [self._idle(n) for n in range(len(served), PAIRS)]
        )
        self.link = Link(
            self.mortal,  # type: ignore[arg-type]
            self.number,
            self.queue_ends,
            self.journal,
            self.offer,
            clock=self.clock,
        )
        self.stalled = False
        self.link.start()
        self._save()

    def _idle(self, queue: int) -> Idle:
        def reset() -> None:
            for direction, role in ((self.number, "producer"), (1 - self.number, "consumer")):
                fifo = Fifo(self.memory, GEOMETRY, L.DIRECTIONS[direction], role=role, queue=queue)  # type: ignore[arg-type]
                fifo.reset()
                fifo.close()

        kept = self.kept[queue]
        return Idle(Books(kept.sent, kept.received, kept.serial), reset)

    def _save(self) -> None:
        for n, pair in enumerate(self.pairs):
            self.kept[n] = pair.keep()
        self.books.lost = sum(kept.lost for kept in self.kept)

    def crash(self) -> None:
        self._save()
        self.queue_ends.close()
        self.link = None

    def send(self) -> bool:
        agreed = self.alive.agreement.queues if self.alive.agreement else 1
        for pair in mixed(self.pairs[:agreed], self.books.total_sent):
            head = TAG.pack(self.alive.epoch, self.alive.answered, pair.sent().records)
            if pair.send(self.body(head)):
                self.books.total_sent += 1
                self._save()
                return True
        return False

    def receive(self) -> bool:
        """Take one packet from any queue, and check that it is the next one there."""
        for pair in mixed(self.pairs, self.books.total_received):
            packet = pair.receive()
            if packet is None:
                continue
            n = self.pairs.index(pair)
            sender, receiver, number = TAG.unpack(packet)
            generation = (self.alive.answered, self.alive.epoch)
            assert (sender, receiver) == generation, "a packet of another generation"
            before, due = self._due[n]
            assert number == (due if before == generation else 0), "a packet is missing, twice, or out of order"
            self._due[n] = (generation, number + 1)
            self.books.total_received += 1
            self._save()
            return True
        return False


class QueueWorld(World):
    """Both sides over one window of several queue pairs."""

    def __init__(self, host: Offer | None = None, card: Offer | None = None) -> None:
        window = mmap.mmap(-1, WINDOW)
        self.memory = new_memory(link_harness.KIND, window)
        self.engine = None
        self.clock = Clock()
        self.host = QueueSide(self.memory, self.clock, L.HOST, host)
        self.card = QueueSide(new_memory(link_harness.KIND, window), self.clock, L.CARD, card)
        self.sides = (self.host, self.card)
