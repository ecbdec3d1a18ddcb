"""A discrete-event model of the way from one program to another: stages, queue pairs, processor cores.

Each stage takes a time for a packet, on a core or in hardware; between two stages is a queue of limited length.  A
stage that has nothing to do, or no room ahead, sleeps; waking it takes a time.  Cores are given to the stages that can
work in turn, for at most ``SLICE`` microseconds while others wait.  What it leaves out: caches, the interrupt and
softirq work that comes with a packet on another core, and TCP, whose window it takes for large enough.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

SLICE: Final = 3000.0
"""Microseconds: the base slice of Linux' scheduler (EEVDF) on a machine with two or more cores is 0.7 to 3 ms."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: ``time`` in microseconds for a packet; ``core``: it needs one; ``shared``: one serves all queues."""

    name: str
    time: float
    core: bool = True
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Packets delivered for each microsecond, and the share of its time that each stage worked."""

    rate: float
    busy: dict[str, float]
    cores: float
    """The share of all cores that was in use."""

    @property
    def limit(self) -> str:
        """What limits the rate: ``cores``, or the stage that worked most."""
        return "cores" if self.cores > 0.95 else max(self.busy, key=lambda name: self.busy[name])


@dataclass(slots=True, eq=False)
class _Worker:
    stage: Stage
    number: int
    room: int
    """Packets that may wait for it."""
    waiting: deque[int] = field(default_factory=deque)
    """The queue pair of each packet that waits for it."""
    asleep: bool = True
    since: float = 0.0
    worked: float = 0.0
    blocked: list[_Worker] = field(default_factory=list)
    """Workers that sleep until there is room here."""


class Pipeline:
    """``queues`` rows of ``stages`` on ``cores``; ``room``: packets between two stages; ``wake``: microseconds."""

    def __init__(self, stages: Sequence[Stage], *, queues: int, cores: int, room: int = 32, wake: float = 10.0) -> None:
        self._cores = self._free = cores
        self._wake = wake
        self._rows = [
            [
                _Worker(stage, place, room * (queues if stage.shared else 1))
                for _ in range(1 if stage.shared else queues)
            ]
            for place, stage in enumerate(stages)
        ]
        self._ready: deque[_Worker] = deque()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._delivered = 0

    def run(self, packets: int) -> Outcome:
        """Deliver ``packets`` packets."""
        for worker in self._rows[0]:
            self._rouse(worker)
        while self._delivered < packets:
            self._now, _, act = heapq.heappop(self._events)
            act()
        busy = {row[0].stage.name: sum(worker.worked for worker in row) / len(row) / self._now for row in self._rows}
        used = sum(worker.worked for row in self._rows for worker in row if worker.stage.core)
        return Outcome(self._delivered / self._now, busy, used / self._now / self._cores)

    def _at(self, time: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), act))

    def _rouse(self, worker: _Worker) -> None:
        """End the sleep of ``worker``, if it sleeps."""
        if worker.asleep:
            worker.asleep = False
            self._at(self._now + self._wake, lambda: self._queue_up(worker))

    def _queue_up(self, worker: _Worker) -> None:
        if worker.stage.core:
            self._ready.append(worker)
            self._dispatch()
        else:
            self._continue(worker)

    def _dispatch(self) -> None:
        while self._free and self._ready:
            self._free -= 1
            worker = self._ready.popleft()
            worker.since = self._now
            self._continue(worker)

    def _ahead(self, worker: _Worker, queue: int) -> _Worker | None:
        """The worker that takes what ``worker`` has done; None after the last stage."""
        if worker.number + 1 == len(self._rows):
            return None
        row = self._rows[worker.number + 1]
        return row[queue % len(row)]

    def _next_queue(self, worker: _Worker) -> int | None:
        """The queue pair of the next packet; None: nothing to do.  The first stage never waits."""
        if worker.number == 0:
            return self._rows[0].index(worker)
        return worker.waiting[0] if worker.waiting else None

    def _continue(self, worker: _Worker) -> None:
        """Begin the next packet, or sleep."""
        queue = self._next_queue(worker)
        ahead = self._ahead(worker, queue) if queue is not None else None
        if queue is None or (ahead and len(ahead.waiting) >= ahead.room):
            if ahead:
                ahead.blocked.append(worker)
            worker.asleep = True
            self._give_up_core(worker)
            return
        if worker.number:
            worker.waiting.popleft()
            for sleeper in worker.blocked:
                self._rouse(sleeper)
            worker.blocked.clear()
        self._at(self._now + worker.stage.time, lambda: self._done(worker, ahead, queue))

    def _done(self, worker: _Worker, ahead: _Worker | None, queue: int) -> None:
        worker.worked += worker.stage.time
        if ahead is None:
            self._delivered += 1
        else:
            ahead.waiting.append(queue)
            self._rouse(ahead)
        if worker.stage.core and self._ready and self._now - worker.since >= SLICE:
            self._ready.append(worker)
            self._give_up_core(worker)
        else:
            self._continue(worker)

    def _give_up_core(self, worker: _Worker) -> None:
        if worker.stage.core:
            self._free += 1
            self._dispatch()
