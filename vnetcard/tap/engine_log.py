"""What a simulated engine does with each record: the simulator's log of bursts, matched with the records' places.

A burst covers bytes of a ring; a record is read once a burst read covers its end, written likewise, and published once
the prod word in the consumer's memory has reached it.  On a board nothing of the kind is seen from outside: there
``show registers`` has the engine's own figures.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from vnetcard._core import Memory
from vnetcard.errors import LayoutMismatch, VnetcardError
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry, Ring
from vnetcard.window import WindowUrl, read_window
from vnetcard.window import sim_bus as B
from vnetcard.window.sim_client import open_object

STEPS: Final = ("engine read", "engine write", "engine publish")
MOST: Final = 100_000
"""Records that may wait at a time."""
_ENTRY: Final = struct.Struct(B.LOG_ENTRY)
_KINDS: Final = {number: name for name, number in B.LOG_KINDS.items()}
_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Reached:
    """The engine has done ``step`` in ``direction`` for every record that ends at ``index`` or before, by ``time``."""

    direction: str
    step: str
    index: int
    time: int


class Log:
    """The entries that the simulator has written, in their order."""

    def __init__(self, name: str) -> None:
        """Raises WindowUnavailable, LayoutMismatch."""
        fd = open_object(B.bus_name(name), name)
        try:
            if os.fstat(fd).st_size < B.BUS_BYTES:
                raise LayoutMismatch(f"sim:{name}: the simulator is of another version: restart it")
            self._map = mmap.mmap(fd, B.BUS_BYTES, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(fd)
        self._memory = Memory(self._map)
        self._next = self._count()

    def _count(self) -> int:
        return self._memory.load64(B.LOG["log_count"])

    def drain(self) -> list[tuple[int, str, int, int, int]]:
        """(time, kind, side, offset, bytes or value) of what is new, less what was overwritten before it was read."""
        count = self._count()
        first = max(self._next, count - B.LOG_ENTRIES)
        found = []
        for number in range(first, count):
            at = B.LOG["log_entries"] + number % B.LOG_ENTRIES * _ENTRY.size
            time, _, offset, size, kind, side = _ENTRY.unpack_from(self._map, at)
            found.append((time, _KINDS[kind], side, offset, size))
        overwritten = max(0, self._count() - B.LOG_ENTRIES + 1 - first)
        self._next = count
        return found[overwritten:]

    def close(self) -> None:
        """Let go of the bus."""
        self._memory.close()
        self._map.close()


@dataclass(slots=True)
class Way:
    """One direction: its ring in both memories, and how far it is published."""

    direction: str
    producer: int
    rings: tuple[Ring, Ring]
    """In the host's memory, and in the card's."""
    prod_line: int
    published: int = 0

    def reached(self, kind: str, side: int, offset: int, size: int) -> tuple[str, int] | None:
        """The step that such an entry completes here, and up to which index; None: it is about something else."""
        if kind == "INDEX":
            if side == self.producer or offset != self.prod_line:
                return None
            self.published = size
            return "engine publish", size
        ring = self.rings[side]
        if not ring.offset <= offset < ring.offset + ring.size or (kind == "READ") != (side == self.producer):
            return None
        ahead = (offset - ring.offset - self.published) % ring.size
        return ("engine read" if kind == "READ" else "engine write"), (self.published + ahead + size) & 0xFFFF_FFFF


class EngineLog:
    """The log of simulation ``name`` as steps of records."""

    def __init__(self, name: str) -> None:
        """Raises what ``Log`` does, and LayoutMismatch when a side's memory holds no window yet."""
        headers = [read_window(f"sim:{name}.{side}", L.rings_offset(1)) for side in L.SIDES]
        rings = [Geometry.decode(header, L.WINDOW_MAX).rings[0] for header in headers]
        self._log = Log(name)
        self.ways = []
        for number, direction in enumerate(L.DIRECTIONS):
            line = L.queue_offset(0) + L.QUEUE_LINES[f"{direction}_prod"]
            published = int.from_bytes(headers[1 - number][line : line + 4], "little")
            self.ways.append(Way(direction, number, (rings[L.HOST][number], rings[L.CARD][number]), line, published))

    @classmethod
    def of(cls, window: str) -> EngineLog | None:
        """That of ``window``, when it is a simulation that can be looked into; else None."""
        url = WindowUrl.parse(window)
        if url.kind != "sim":
            return None
        try:
            return cls(url.place.partition(".")[0])
        except VnetcardError:
            return None

    def drain(self) -> list[Reached]:
        """What the engine has done since the last time, in order."""
        out = []
        for time, kind, side, offset, size in self._log.drain():
            for way in self.ways:
                if found := way.reached(kind, side, offset, size):
                    out.append(Reached(way.direction, found[0], found[1], time))
        return out

    def close(self) -> None:
        """Look no more."""
        self._log.close()


@dataclass(slots=True)
class Waiting:
    """Records of one direction that the engine has still to do something for: (index of the end, what to stamp)."""

    by_step: dict[str, deque[tuple[int, dict[str, int]]]] = field(
        default_factory=lambda: {step: deque(maxlen=MOST) for step in STEPS}
    )

    def add(self, end: int, steps: dict[str, int]) -> None:
        """A record that ends at ``end``; ``steps`` gets the times."""
        for queue in self.by_step.values():
            queue.append((end, steps))

    def reached(self, what: Reached) -> None:
        """Stamp the records that ``what`` covers."""
        queue = self.by_step[what.step]
        while queue and (what.index - queue[0][0]) & 0xFFFF_FFFF < _HALF:
            _, steps = queue.popleft()
            if what.time >= steps.get("commit", 0):
                steps.setdefault(what.step, what.time)

    def forget(self) -> None:
        """A new generation: the indices begin anew."""
        for queue in self.by_step.values():
            queue.clear()
