"""The ends of a link of several queue pairs: a pair of pumps for each, commanded and counted as one.

How the books stay exact while any of them may be killed at any moment is docs/adr/0011-queues.md; in short: what
this side sent is unsettled as long as the ledger of queue 0 says so, and what it last received in is what the
largest ``gen_serial`` names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from vnetcard import _core
from vnetcard import layout as L
from vnetcard._core import Memory
from vnetcard.bells import Bells
from vnetcard.ends import Doorbells, Generation, PumpEnds, following
from vnetcard.fifo import Fifo
from vnetcard.geometry import Geometry
from vnetcard.port import Port


@dataclass(frozen=True, slots=True)
class Books:
    """What one pair's ledgers say: the generations last sent and received in, and the serial of the latter."""

    sent: Generation
    received: Generation
    serial: int

    @classmethod
    def of(cls, pair: PumpEnds) -> Books:
        """Those of ``pair``; held."""
        return cls(pair.sent(), pair.received(), pair.serial)


def total_sent(books: Sequence[Books]) -> Generation:
    """The generation last sent in over all queues, as that of queue 0 says; epochs of 0: nothing is unsettled."""
    anchor = books[0].sent
    return _sum(anchor, [one.sent for one in books]) if anchor.own_epoch else Generation(0, 0, 0)


def total_received(books: Sequence[Books]) -> Generation:
    """The generation last received in over all queues: one that has the largest serial says which."""
    newest = max(one.serial for one in books)
    named = [one.received for one in books if one.serial == newest]
    return _sum(named[0], named)


def _sum(which: Generation, among: Sequence[Generation]) -> Generation:
    same = [one for one in among if (one.own_epoch, one.peer_epoch) == (which.own_epoch, which.peer_epoch)]
    return Generation(which.own_epoch, which.peer_epoch, sum(one.records for one in same))


class QueueEnds:
    """The pumps of the first ``queues`` pairs of a window, each with a queue of ``port``; see ``vnetcard.ends.Ends``.

    Pairs of the window beyond those have no pumps; what an earlier owner left in their ledgers counts nevertheless.
    """

    def __init__(
        self,
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
    ) -> None:
        self._memory, self._geometry, self._side = memory, geometry, side
        self._agreed = 1

        def pair(queue: int) -> PumpEnds:
            return PumpEnds(
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

        self.pairs = [pair(queue) for queue in range(queues)]
        self._idle: list[Books] = []
        for queue in range(queues, len(geometry.rings)):
            with contextlib.closing(pair(queue)) as left:  # it counts what died inside a read
                self._idle.append(Books.of(left))

    def use_bells(self, bells: Bells, number: int) -> bool:
        """As ``PumpEnds``; a window that has bells has those of one pair."""
        return self.pairs[0].use_bells(bells, number)

    def hold(self) -> None:
        for pair in self.pairs:
            pair.hold()

    def reset(self) -> None:
        for pair in self.pairs:
            pair.reset()
        for queue in range(len(self.pairs), len(self._geometry.rings)):
            self._reset_idle(queue)

    def _reset_idle(self, queue: int) -> None:
        tx, rx = L.DIRECTIONS[self._side], L.DIRECTIONS[1 - self._side]
        with contextlib.closing(Fifo(self._memory, self._geometry, tx, role="producer", queue=queue)) as fifo:
            fifo.reset()
        with contextlib.closing(Fifo(self._memory, self._geometry, rx, role="consumer", queue=queue)) as fifo:
            fifo.reset()

    def _books(self) -> list[Books]:
        return [*map(Books.of, self.pairs), *self._idle]

    def sent(self) -> Generation:
        return total_sent(self._books())

    def received(self) -> Generation:
        return total_received(self._books())

    def settle(self, lost: int) -> None:
        """Queue 0 books what was lost and forgets its generation in one step; with it nothing is unsettled."""
        for pair in self.pairs:
            pair.settle(lost)
            lost = 0

    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, queues: int) -> None:
        """Queue 0 last: until then nothing of the new generation counts."""
        self._agreed = queues
        serial = following(max(one.serial for one in self._books()))
        for pair in reversed(self.pairs[:queues]):
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

    def tap(self, tx: tuple[_core.Tap, ...], rx: tuple[_core.Tap, ...]) -> None:
        self.pairs[0].tap(tx, rx)

    def forget(self) -> None:
        """High-water marks begin anew with the next record."""
        for pair in self.pairs:
            pair.rx.forget()

    def close(self) -> None:
        """End all threads."""
        for pair in self.pairs:
            pair.close()
