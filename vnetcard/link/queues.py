"""The endpoints of a link with several queue pairs: the pairs' endpoints, commanded and counted as one.

docs/adr/0011-queues.md explains why the ledgers stay exact when an agent is killed at any moment.  In short: what
this side sent is unsettled while the ledger of queue 0 has a generation, and the last received generation is the one
with the largest ``gen_serial``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.engine.transport import Doorbells
from vnetcard.link.endpoints import Endpoints, Generation, PumpEndpoints, following, generation_of, serial_of
from vnetcard.port import Port
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo, locate
from vnetcard.ring.geometry import Geometry


class Pair(Endpoints, Protocol):
    """The endpoints of one queue pair; ``begin`` takes the serial of the generation."""

    @property
    def serial(self) -> int:
        """The serial of the last received generation.  Held."""

    def begin(
        self,
        *,
        own_epoch: int,
        peer_epoch: int,
        features: int,
        packet_max: int,
        queues: int = 1,
        serial: int | None = None,
    ) -> None:
        """As ``Endpoints``."""

    def close(self) -> None:
        """Free all resources."""


P = TypeVar("P", bound=Pair)


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Contents of one pair's ledgers: the last sent and the last received generation, and the serial of the latter."""

    sent: Generation
    received: Generation
    serial: int

    @classmethod
    def of(cls, pair: Pair) -> LedgerTotals:
        """The totals of ``pair``.  Held."""
        return cls(pair.sent(), pair.received(), pair.serial)


def total_sent(ledgers: Sequence[LedgerTotals]) -> Generation:
    """The last sent generation over all queues, as queue 0 names it; epochs of 0 mean that nothing is unsettled."""
    anchor = ledgers[0].sent
    return _sum(anchor, [one.sent for one in ledgers]) if anchor.own_epoch else Generation(0, 0, 0)


def total_received(ledgers: Sequence[LedgerTotals]) -> Generation:
    """The last received generation over all queues: the one with the largest serial."""
    newest = max(one.serial for one in ledgers)
    named = [one.received for one in ledgers if one.serial == newest]
    return _sum(named[0], named)


def _sum(which: Generation, among: Sequence[Generation]) -> Generation:
    same = [one for one in among if (one.own_epoch, one.peer_epoch) == (which.own_epoch, which.peer_epoch)]
    return Generation(which.own_epoch, which.peer_epoch, sum(one.records for one in same))


@dataclass(frozen=True, slots=True)
class Idle:
    """A queue pair that this side does not serve: the ledgers that an earlier owner left, and its reset."""

    totals: LedgerTotals
    reset: Callable[[], None]
    ruined: int = 0
    """Ledgers of the pair that another program has overwritten."""


class QueueEndpoints(Generic[P]):
    """The served ``pairs``, from queue 0 on, and the ``idle`` ones; the contract is ``endpoints.Endpoints``."""

    def __init__(self, pairs: Sequence[P], idle: Sequence[Idle] = ()) -> None:
        self.pairs, self._idle = tuple(pairs), tuple(idle)
        self._agreed = 1
        self._ruined = sum(one.ruined for one in idle)

    def hold(self) -> None:
        for pair in self.pairs:
            pair.hold()

    def reset(self) -> None:
        for pair in self.pairs:
            pair.reset()
        for idle in self._idle:
            idle.reset()

    def _totals(self) -> list[LedgerTotals]:
        return [*map(LedgerTotals.of, self.pairs), *(one.totals for one in self._idle)]

    def sent(self) -> Generation:
        return total_sent(self._totals())

    def received(self) -> Generation:
        return total_received(self._totals())

    def settle(self, lost: int) -> None:
        """Queue 0 counts the losses and clears its generation in one step; then nothing is unsettled."""
        for pair in self.pairs:
            pair.settle(lost)
            lost = 0

    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, queues: int) -> None:
        """Begin in any order: nothing is sent yet, and a received generation is recorded with its first record."""
        self._agreed = queues
        serial = following(max(one.serial for one in self._totals()))
        for pair in self.pairs[:queues]:
            pair.begin(
                own_epoch=own_epoch, peer_epoch=peer_epoch, features=features, packet_max=packet_max, serial=serial
            )

    def run(self) -> None:
        for pair in self.pairs[: self._agreed]:
            pair.run()
        for pair in self.pairs[self._agreed :]:
            pair.drop(peer_dead=False)

    def drop(self, *, peer_dead: bool) -> None:
        for pair in self.pairs:
            pair.drop(peer_dead=peer_dead)

    def take_events(self) -> int:
        events = 0
        for pair in self.pairs:
            events |= pair.take_events()
        return events

    def refused(self) -> tuple[int, int]:
        kinds = number = 0
        for pair in self.pairs:
            some, why = pair.refused()
            kinds, number = kinds | some, why if some else number
        return kinds, number

    def check_counters(self) -> tuple[int, int]:
        found = [pair.check_counters() for pair in self.pairs]
        ruined, self._ruined = self._ruined, 0
        return sum(restored for restored, _ in found), sum(restarted for _, restarted in found) + ruined

    def close(self) -> None:
        """End all pairs, each also where another one fails."""
        with contextlib.ExitStack() as last:
            for pair in self.pairs:
                last.callback(pair.close)


def open_pumps(
    memory: Memory,
    geometry: Geometry,
    side: int,
    port: Port,
    *,
    queues: int,
    attention_fd: int,
    wait: str,
    futex: bool,
    doorbells: Doorbells | None = None,
) -> QueueEndpoints[PumpEndpoints]:
    """Pumps between the first ``queues`` queues of a port and of a window; other arguments as in ``PumpEndpoints``."""

    def pair(queue: int) -> PumpEndpoints:
        return PumpEndpoints(
            memory,
            geometry,
            side,
            port,
            attention_fd=attention_fd,
            wait=wait,
            futex=futex,
            doorbells=doorbells,
            queue=queue,
        )

    def idle(queue: int) -> Idle:
        tx = locate(geometry, L.DIRECTIONS[side], "producer", queue)
        rx = locate(geometry, L.DIRECTIONS[1 - side], "consumer", queue)
        ruined = memory.ledger_ruined(tx.ledger) + memory.ledger_ruined(rx.ledger)
        sent = _core.recover_ledger(memory, ring=tx.ring.offset, size=tx.ring.size, ledger=tx.ledger)
        received = memory.ledger(rx.ledger)
        totals = LedgerTotals(generation_of(sent), generation_of(received), serial_of(received))
        return Idle(totals, lambda: _reset(memory, geometry, side, queue), ruined)

    with contextlib.ExitStack() as opened:  # if one cannot start, the others end
        pairs = [opened.enter_context(contextlib.closing(pair(n))) for n in range(queues)]
        endpoints = QueueEndpoints(pairs, [idle(n) for n in range(queues, len(geometry.rings))])
        opened.pop_all()
        return endpoints


def _reset(memory: Memory, geometry: Geometry, side: int, queue: int) -> None:
    """Set the indices to 0 that ``side`` writes in a queue pair without pumps."""
    tx, rx = L.DIRECTIONS[side], L.DIRECTIONS[1 - side]
    with (
        contextlib.closing(Fifo(memory, geometry, tx, role="producer", queue=queue)) as producer,
        contextlib.closing(Fifo(memory, geometry, rx, role="consumer", queue=queue)) as consumer,
    ):
        producer.reset()
        consumer.reset()
