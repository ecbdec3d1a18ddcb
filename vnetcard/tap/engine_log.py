"""The steps of a simulated engine for each record, from the simulator's log of bursts.

A burst covers bytes of a ring.  A record has been read once a read burst covers its end, written once a write burst
does, and published once the prod word in the consumer's memory covers it.  A board has no such log: there
``show registers`` has the engine's own counters.
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
"""Records that may wait for a step; the oldest are dropped."""
_ENTRY: Final = struct.Struct(B.LOG_ENTRY)
_KINDS: Final = {number: name for name, number in B.LOG_KINDS.items()}
_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Reached:
    """At ``time`` the engine had done ``step`` for every record of ``direction`` that ends at ``index`` or before."""

    direction: str
    step: str
    index: int
    time: int


class Log:
    """The reader of the simulator's log."""

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
        """(time, kind, side, offset, bytes or value) of the new entries that were not overwritten yet."""
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
        """Unmap the bus."""
        self._memory.close()
        self._map.close()


@dataclass(slots=True)
class RingProgress:
    """The ring of one direction in both memories, and the index up to which the engine has published it."""

    direction: str
    producer: int
    rings: tuple[Ring, Ring]
    """The ring in the host's memory and in the card's."""
    prod_line: int
    published: int = 0

    def reached(self, kind: str, side: int, offset: int, size: int) -> tuple[str, int] | None:
        """The step that a log entry completes in this direction, and the index; None if it concerns something else."""
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
    """The log of the simulation ``name`` as steps of records."""

    def __init__(self, name: str) -> None:
        """Raises as ``Log``, and LayoutMismatch when a side's memory holds no window yet."""
        headers = [read_window(f"sim:{name}.{side}", L.rings_offset(1)) for side in L.SIDES]
        rings = [Geometry.decode(header, L.WINDOW_MAX).rings[0] for header in headers]
        self._log = Log(name)
        self.progress = []
        for number, direction in enumerate(L.DIRECTIONS):
            line = L.queue_offset(0) + L.QUEUE_LINES[f"{direction}_prod"]
            published = int.from_bytes(headers[1 - number][line : line + 4], "little")
            self.progress.append(
                RingProgress(direction, number, (rings[L.HOST][number], rings[L.CARD][number]), line, published)
            )

    @classmethod
    def of(cls, window: str) -> EngineLog | None:
        """The log of ``window`` if that is a simulation whose log can be read; else None."""
        url = WindowUrl.parse(window)
        if url.kind != "sim":
            return None
        try:
            return cls(url.place.partition(".")[0])
        except VnetcardError:
            return None

    def drain(self) -> list[Reached]:
        """The steps since the last call, in order."""
        out = []
        for time, kind, side, offset, size in self._log.drain():
            for ring in self.progress:
                if found := ring.reached(kind, side, offset, size):
                    out.append(Reached(ring.direction, found[0], found[1], time))
        return out

    def close(self) -> None:
        """Close the log."""
        self._log.close()


@dataclass(slots=True)
class Waiting:
    """Records of one direction that wait for the engine: by step, (index of the end, times to stamp)."""

    by_step: dict[str, deque[tuple[int, dict[str, int]]]] = field(
        default_factory=lambda: {step: deque(maxlen=MOST) for step in STEPS}
    )

    def add(self, end: int, steps: dict[str, int]) -> None:
        """Add a record that ends at ``end``; its times are written to ``steps``."""
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
        """Drop all records: a new generation starts at index 0."""
        for queue in self.by_step.values():
            queue.clear()
