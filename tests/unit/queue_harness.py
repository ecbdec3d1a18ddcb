"""Two agents reduced to their links and pumps, over one window of several queue pairs; links are ticked by hand."""

from __future__ import annotations

import mmap
import os
import time

from vnetcard._core import Memory
from vnetcard.codes.link import LinkReason
from vnetcard.link.link import Link
from vnetcard.link.queues import open_pumps
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.counters import EndCounters, balance, read_end, read_ends
from vnetcard.ring.geometry import Geometry

PAIRS = 3
"""Queue pairs of the window; sides serve as many of them as a test says."""
WINDOW = 128 << 10
PATIENCE = 20.0
PACKET = b"E packet"


class ManyPairs:
    """A port of several queues: a socket pair each; packets come out of any of them, whatever is agreed."""

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


class Side:
    """An agent; ``crash`` ends it as kill -9 does: nothing is said or stored."""

    def __init__(self, memory: Memory, geometry: Geometry, side: int, queues: int) -> None:
        self.port = ManyPairs(queues)
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


class Two:
    """Both sides over one window."""

    def __init__(self) -> None:
        self.geometry = Geometry.plan(WINDOW, queues=PAIRS, instance=1, removable=False)
        self.memory = Memory(mmap.mmap(-1, WINDOW))
        self.sides: list[Side | None] = [None, None]

    def start(self, side: int, queues: int = 2) -> Side:
        self.sides[side] = started = Side(self.memory, self.geometry, side, queues)
        return started

    def side(self, number: int) -> Side:
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
        """Tick both until they run and nothing is on its way."""
        deadline = time.monotonic() + PATIENCE
        while not (all(side and side.runs for side in self.sides) and not any(self.owed())):
            assert time.monotonic() < deadline, f"not at rest: {self.owed()}"
            self.tick()
            time.sleep(0.001)
        assert self.unaccounted() == 0

    def owed(self) -> list[int]:
        """In flight, for both directions, in records."""
        return [balance(self.memory, direction, 0, PAIRS).in_flight for direction in L.DIRECTIONS]

    def unaccounted(self) -> int:
        """Packets for which no end accounts, over all ends of all queues."""
        endpoints = [
            read_end(self.memory, direction, tx=tx, queue=queue)
            for direction in L.DIRECTIONS
            for queue in range(PAIRS)
            for tx in (True, False)
        ]
        return sum(abs(end.unaccounted) for end in endpoints)

    def send(self, side: int, *counts: int) -> None:
        """``counts`` packets go in at the queues of ``side``; returns once its pumps have taken all."""
        want = self.tx(side).ledger["tx_taken"] + sum(counts)
        for far, count in zip(self.side(side).port.far, counts, strict=False):
            for _ in range(count):
                far.send(PACKET)
        deadline = time.monotonic() + PATIENCE
        while self.tx(side).ledger["tx_taken"] < want:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def tx(self, side: int) -> EndCounters:
        return read_ends(self.memory, L.DIRECTIONS[side], tx=True, queues=PAIRS)

    def lost(self, side: int) -> int:
        return self.tx(side).ledger["lost_restart"]

    def received(self, side: int) -> list[int]:
        """Records that ``side`` has received, by queue."""
        back = L.DIRECTIONS[1 - side]
        return [read_end(self.memory, back, tx=False, queue=n).ledger["rx_received"] for n in range(PAIRS)]
