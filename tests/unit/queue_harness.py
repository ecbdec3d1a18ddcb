"""Both sides of a link of several queue pairs, reduced to ``Link`` and what it commands.

``PumpSides``: with pumps, in real time.  ``QueueLinkHarness``: with FIFOs, under the fake clock and the faults of
``link_harness``.  The test ticks the links.
"""

from __future__ import annotations

import mmap
import os
import random
import time
from dataclasses import dataclass

from tests.unit import link_harness
from tests.unit.link_harness import TAG, Clock, LinkHarness, MortalMemory, Side
from tests.unit.memories import new_memory
from vnetcard._core import Memory
from vnetcard.codes.link import LinkReason
from vnetcard.link.endpoints import Generation
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import Idle, LedgerTotals, QueueEndpoints, open_pumps
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.counters import EndCounters, balance, read_end, read_ends
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.geometry import Geometry

PAIRS = 3
"""Queue pairs of the window; a side serves as many of them as the test says."""
LIMIT_S = 20.0
PACKET = b"E packet"
NOTHING = Generation(0, 0, 0)
BURST = 3
"""Packets in a row that enter, or leave, the same queue."""


def plan(window: int, pairs: int = PAIRS) -> Geometry:
    """The geometry of a window of ``window`` bytes with ``pairs`` queue pairs."""
    return Geometry.plan(window, queues=pairs, instance=1, removable=False)


FIFO_GEOMETRY = plan(32 << 10)

# --- with pumps ------------------------------------------------------------------------------------------


class QueuePort:
    """A port of several queues, a socket pair each; its user may send into any of them, whatever is agreed."""

    def __init__(self, queues: int) -> None:
        self._pairs = [PairPort(f"queue{n}") for n in range(queues)]
        self.name, self.vnet, self.used = "many", False, queues
        self.fds = tuple(pair.fds[0] for pair in self._pairs)
        self.far = [pair.far for pair in self._pairs]

    def probe_offload(self) -> dict[str, str]:
        return {}

    def set_offload(self, features: int) -> None: ...

    def use_queues(self, count: int) -> None:
        self.used = count

    def set_carrier(self, up: bool) -> None: ...

    def close(self) -> None:
        for pair in self._pairs:
            pair.close()


class PumpSide:
    """A link with pumps; ``crash`` ends it as kill -9 does: nothing more is stored."""

    def __init__(self, memory: Memory, geometry: Geometry, side: int, queues: int) -> None:
        self.port = QueuePort(queues)
        self._attention = os.eventfd(0, os.EFD_NONBLOCK)
        self.endpoints = open_pumps(
            memory, geometry, side, self.port, queues=queues, attention_fd=self._attention, wait="adaptive", futex=True
        )
        self.link = Link(memory, side, self.endpoints, self, Offer(0, 1500, queues=queues))
        self.link.start()

    def link_up(self, agreement: Agreement) -> None:
        self.port.use_queues(agreement.queues)

    def carrier(self, up: bool, reason: str) -> None: ...

    def report(self, message: str, code: LinkReason) -> None: ...

    @property
    def runs(self) -> bool:
        return self.link.state is LinkState.RUN

    def crash(self) -> None:
        self.endpoints.close()
        self.port.close()
        os.close(self._attention)


class PumpSides:
    """Both sides with pumps, over one window of ``pairs`` queue pairs."""

    def __init__(self, pairs: int = PAIRS) -> None:
        self.pairs = pairs
        self.geometry = plan(128 << 10, pairs)
        self.memory = Memory(mmap.mmap(-1, self.geometry.window_bytes))
        self.sides: list[PumpSide | None] = [None, None]

    def start(self, side: int, queues: int = 2) -> PumpSide:
        """Start ``side`` with ``queues`` of the pairs, or all if there are fewer."""
        served = min(queues, self.pairs)
        self.sides[side] = started = PumpSide(self.memory, self.geometry, side, served)
        return started

    def side(self, number: int) -> PumpSide:
        side = self.sides[number]
        assert side is not None
        return side

    def crash(self, side: int) -> None:
        victim, self.sides[side] = self.side(side), None
        victim.crash()

    def close(self) -> None:
        for number, side in enumerate(self.sides):
            if side is not None:
                self.crash(number)

    def tick(self) -> None:
        for side in self.sides:
            if side is not None:
                side.link.tick()

    def settle(self) -> None:
        """Tick both until they run and no packet is in flight."""
        deadline = time.monotonic() + LIMIT_S
        while not (all(side and side.runs for side in self.sides) and not any(self.in_flight())):
            assert time.monotonic() < deadline, f"not at rest: {self.in_flight()}"
            self.tick()
            time.sleep(0.001)
        assert self.unaccounted() == 0

    def in_flight(self) -> list[int]:
        """The records in flight, for both directions."""
        return [balance(self.memory, direction, 0, self.pairs).in_flight for direction in L.DIRECTIONS]

    def unaccounted(self) -> int:
        """Packets that no counter accounts for, over all ends of all queues."""
        endpoints = [
            read_end(self.memory, direction, tx=tx, queue=queue)
            for direction in L.DIRECTIONS
            for queue in range(self.pairs)
            for tx in (True, False)
        ]
        return sum(abs(end.unaccounted) for end in endpoints)

    def send_over_all(self, side: int, total: int) -> None:
        """As ``send``: ``total`` packets, distributed over the queues that ``side`` serves."""
        queues = len(self.side(side).port.far)
        self.send(side, *((total + n) // queues for n in range(queues)))

    def send(self, side: int, *counts: int) -> None:
        """Send ``counts`` packets into the queues of ``side``; returns once its pumps have taken all."""
        want = self.tx(side).ledger["tx_taken"] + sum(counts)
        for far, count in zip(self.side(side).port.far, counts, strict=False):
            for _ in range(count):
                far.send(PACKET)
        deadline = time.monotonic() + LIMIT_S
        while self.tx(side).ledger["tx_taken"] < want:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def tx(self, side: int) -> EndCounters:
        return read_ends(self.memory, L.DIRECTIONS[side], tx=True, queues=self.pairs)

    def lost(self, side: int) -> int:
        return self.tx(side).ledger["lost_restart"]

    def received(self, side: int) -> list[int]:
        """The records that ``side`` has received, by queue."""
        back = L.DIRECTIONS[1 - side]
        return [read_end(self.memory, back, tx=False, queue=n).ledger["rx_received"] for n in range(self.pairs)]


# --- with FIFOs and faults -------------------------------------------------------------------------------


@dataclass
class Kept:
    """The ledgers of one queue pair."""

    sent: Generation = NOTHING
    received: Generation = NOTHING
    serial: int = 0
    lost: int = 0


class MortalPair(FifoEndpoints):
    """The FIFOs of a queue; the process may end ahead of each update of its tx ledger."""

    def __init__(self, mortal: MortalMemory, memory: Memory, side: int, queue: int, kept: Kept) -> None:
        super().__init__(memory, FIFO_GEOMETRY, side, queue=queue)
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
    """Shuffle ``pairs``; the order changes after every BURST packets."""
    return random.Random(count // BURST).sample(pairs, len(pairs))


class FifoSide(Side):
    """A side of ``QueueLinkHarness`` that serves one, two or three pairs, another number at each start."""

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
                fifo = Fifo(self.memory, FIFO_GEOMETRY, L.DIRECTIONS[direction], role=role, queue=queue)  # type: ignore[arg-type]
                fifo.reset()
                fifo.close()

        kept = self.kept[queue]
        return Idle(LedgerTotals(kept.sent, kept.received, kept.serial), reset)

    def _save(self) -> None:
        for n, pair in enumerate(self.pairs):
            self.kept[n] = pair.keep()
        self.ledger.lost = sum(kept.lost for kept in self.kept)

    def crash(self) -> None:
        self._save()
        self.queue_ends.close()
        self.link = None

    def send(self) -> bool:
        agreed = self.alive.agreement.queues if self.alive.agreement else 1
        for pair in mixed(self.pairs[:agreed], self.ledger.total_sent):
            head = TAG.pack(self.alive.epoch, self.alive.answered, pair.sent().records)
            if pair.send(self.body(head)):
                self.ledger.total_sent += 1
                self._save()
                return True
        return False

    def receive(self) -> bool:
        """Take one packet from any queue, and check that it is the next one there."""
        for pair in mixed(self.pairs, self.ledger.total_received):
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
            self.ledger.total_received += 1
            self._save()
            return True
        return False


class QueueLinkHarness(LinkHarness):
    """A ``LinkHarness`` whose FIFO sides may die between the updates of two of their ledgers."""

    def __init__(self, host: Offer | None = None, card: Offer | None = None) -> None:
        window = mmap.mmap(-1, FIFO_GEOMETRY.window_bytes)
        self.memory = new_memory(link_harness.KIND, window)
        self.engine = None
        self.clock = Clock()
        self.host = FifoSide(self.memory, self.clock, L.HOST, host)
        self.card = FifoSide(new_memory(link_harness.KIND, window), self.clock, L.CARD, card)
        self.sides = (self.host, self.card)
