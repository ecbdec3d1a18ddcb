"""The ends of a link of several queue pairs: those of each, as a rule two pumps, commanded and counted as one.

How the ledgers stay exact while any of them may be killed at any moment is docs/adr/0011-queues.md; in short: what
this side sent is unsettled as long as the ledger of queue 0 says so, and what it last received in is what the
largest ``gen_serial`` names.
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
    """The ends of one queue pair; its ``begin`` knows the serial that orders the generation among those of others."""

    @property
    def serial(self) -> int:
        """Of the generation last received in; held."""

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
        """Let go of everything."""


P = TypeVar("P", bound=Pair)


@dataclass(frozen=True, slots=True)
class Accounts:
    """What one pair's ledgers say: the generations last sent and received in, and the serial of the latter."""

    sent: Generation
    received: Generation
    serial: int

    @classmethod
    def of(cls, pair: Pair) -> Accounts:
        """Those of ``pair``; held."""
        return cls(pair.sent(), pair.received(), pair.serial)


def total_sent(accounts: Sequence[Accounts]) -> Generation:
    """The generation last sent in over all queues, as that of queue 0 says; epochs of 0: nothing is unsettled."""
    anchor = accounts[0].sent
    return _sum(anchor, [one.sent for one in accounts]) if anchor.own_epoch else Generation(0, 0, 0)


def total_received(accounts: Sequence[Accounts]) -> Generation:
    """The generation last received in over all queues: one that has the largest serial says which."""
    newest = max(one.serial for one in accounts)
    named = [one.received for one in accounts if one.serial == newest]
    return _sum(named[0], named)


def _sum(which: Generation, among: Sequence[Generation]) -> Generation:
    same = [one for one in among if (one.own_epoch, one.peer_epoch) == (which.own_epoch, which.peer_epoch)]
    return Generation(which.own_epoch, which.peer_epoch, sum(one.records for one in same))


@dataclass(frozen=True, slots=True)
class Idle:
    """A queue pair of the window that this side does not serve: what an earlier owner left, and how it is reset."""

    accounts: Accounts
    reset: Callable[[], None]


class QueueEndpoints(Generic[P]):
    """``pairs`` of the window, from queue 0 on, and the rest of it; see ``endpoints.Endpoints`` for the contract."""

    def __init__(self, pairs: Sequence[P], idle: Sequence[Idle] = ()) -> None:
        self.pairs, self._idle = tuple(pairs), tuple(idle)
        self._agreed = 1

    def hold(self) -> None:
        for pair in self.pairs:
            pair.hold()

    def reset(self) -> None:
        for pair in self.pairs:
            pair.reset()
        for idle in self._idle:
            idle.reset()

    def _accounts(self) -> list[Accounts]:
        return [*map(Accounts.of, self.pairs), *(one.accounts for one in self._idle)]

    def sent(self) -> Generation:
        return total_sent(self._accounts())

    def received(self) -> Generation:
        return total_received(self._accounts())

    def settle(self, lost: int) -> None:
        """Queue 0 records what was lost and forgets its generation in one step; with it nothing is unsettled."""
        for pair in self.pairs:
            pair.settle(lost)
            lost = 0

    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, queues: int) -> None:
        """In any order: what is not sent yet does not count, and what was received in is named by its first record."""
        self._agreed = queues
        serial = following(max(one.serial for one in self._accounts()))
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

    def close(self) -> None:
        """End all of them."""
        for pair in self.pairs:
            pair.close()


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
    """Pumps between the first ``queues`` queues of ``port`` and those of a window; the rest as in ``PumpEndpoints``."""

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
        sent = _core.recover_ledger(memory, ring=tx.ring.offset, size=tx.ring.size, ledger=tx.ledger)
        received = memory.ledger(rx.ledger)
        accounts = Accounts(generation_of(sent), generation_of(received), serial_of(received))
        return Idle(accounts, lambda: _reset(memory, geometry, side, queue))

    with contextlib.ExitStack() as opened:  # where one cannot start, the others end
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
