"""The events of both sides joined to the paths of single packets.

::

    producer   reserve - tun read - commit - publish - doorbell
    engine       read - write - publish
    consumer       wake-up - peek - tun write - release

A record carries its number and both epochs, so both sides' events of one packet, on a queue, find each other; what a
simulated engine does is matched by the record's place in the ring (``enginelog.py``).
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Event
from vnetcard.tap import engine_log
from vnetcard.tap.clocks import Clocks

STEPS: Final = (
    "reserve",
    "tun read",
    "commit",
    "publish",
    "doorbell",
    *engine_log.STEPS,
    "wake-up",
    "peek",
    "tun write",
    "release",
)
"""In the order of the path; ``wake-up`` is there when the consumer slept."""
_STAMPS: Final = {
    "READ": ("reserve", "tun read"),
    "COMMIT": ("", "commit"),
    "PUBLISH": ("publish", "doorbell"),
    "PEEK": ("wake-up", "peek"),
    "WRITE": ("", "tun write"),
    "RELEASE": ("", "release"),
}
"""What ``before`` and ``time`` of a stage's event are called."""
_NOTICE: Final = {
    T.NOTICES["NONE"]: "the peer looks by itself",
    T.NOTICES["RUNG"]: "rung",
    T.NOTICES["AWAKE"]: "not needed, the peer is awake",
    T.NOTICES["WOKEN"]: "the peer was woken",
}
LATE_NS: Final = 1_000_000_000
MOST: Final = 100_000
"""Paths that are kept at a time: the oldest give way."""


@dataclass(slots=True)
class PacketTrace:
    """One packet; ``steps``: name to time on the clock of the side that did it."""

    direction: str
    queue: int
    epochs: tuple[int, int]
    seq: int | None
    length: int = 0
    drop: str = ""
    data: bytes = b""
    vnet: bytes = b""
    notes: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    waited_us: int = 0
    slept_us: int = 0
    chosen: bool = False
    look: int = 0
    touched: int = 0

    @property
    def producer(self) -> int:
        """Its side."""
        return L.DIRECTIONS.index(self.direction)

    def place(self, step: str) -> str:
        """Who does ``step``: host, card, or engine."""
        if step in engine_log.STEPS:
            return "engine"
        return L.SIDES[1 - self.producer if self.across(step) else self.producer]

    def aligned(self, clocks: Clocks) -> list[tuple[str, int]]:
        """The steps by the host's clock, in the order in which they happened.

        As long as the clocks are not known the consumer's are behind the producer's, by nobody knows how much.
        """
        out = []
        for step, at in self.steps.items():
            out.append((step, at - clocks.offset(at).value if self.place(step) == "card" else at))
        beyond = {step for step in self.steps if not clocks.known and self.across(step)}
        return sorted(out, key=lambda item: (item[0] in beyond, item[1], STEPS.index(item[0])))

    def across(self, step: str) -> bool:
        """Is it the consumer's?"""
        return STEPS.index(step) >= STEPS.index("wake-up")

    def parts(self, clocks: Clocks) -> list[list[tuple[str, int]]]:
        """The steps as ``aligned``, cut where the time from one to the next is not known."""
        steps = self.aligned(clocks)
        if clocks.known:
            return [steps]
        both = [[item for item in steps if self.across(item[0]) == across] for across in (False, True)]
        return [part for part in both if part]

    @property
    def finished(self) -> bool:
        """Has the packet arrived, or been dropped?"""
        return bool(self.drop) or "tun write" in self.steps

    @property
    def late(self) -> bool:
        """Has nothing come for so long that nothing will?"""
        return time.monotonic_ns() - self.touched > LATE_NS


class Tracer:
    """Takes events and gives paths once they are complete, or nothing more has come for ``LATE_NS``."""

    def __init__(
        self,
        *,
        chosen: Callable[[bytes, int], bool] | None = None,
        shared_clock: bool = False,
        engine: bool = False,
        patience_ns: int = 0,
    ) -> None:
        """``chosen``: which packets are wanted, as ``bpf.Filter``; ``shared_clock``: both sides are on one machine.

        ``engine``: what an engine does will be told too.  ``patience_ns``: one side's events come so much later.
        """
        self._patience_ns = patience_ns
        self._filter = chosen
        self._paths: OrderedDict[object, PacketTrace] = OrderedDict()
        self._drops: list[PacketTrace] = []
        self._look = 0
        self._now = 0
        self._waiting = {direction: engine_log.Waiting() for direction in L.DIRECTIONS} if engine else {}
        self._epochs = (0, 0)
        self.clocks = Clocks(shared=shared_clock)

    def feed(self, events: Iterable[Event], engine: Iterable[engine_log.Reached] = ()) -> None:
        """Take one look's events, each ring's in its order; ``engine`` has to be what was done before that look."""
        self._look += 1
        for event in events:
            if event.stage in ("PUBLISH", "RELEASE"):
                self._take_batch(event)
            else:
                self._take(event)
        for reached in engine:
            self._waiting[reached.direction].reached(reached)
        while len(self._paths) > MOST:
            self._paths.popitem(last=False)

    def _take(self, event: Event) -> None:
        if event.flags & T.FLAGS["NOSEQ"]:
            path = PacketTrace(event.direction, event.queue, event.epochs, None)
            self._drops.append(path)
        elif event.record in self._paths:
            path = self._paths[event.record]
        else:
            path = self._paths[event.record] = PacketTrace(event.direction, event.queue, event.epochs, event.seq)
        self._stamp(path, event)
        path.length = event.length
        path.drop = path.drop or event.drop_name
        path.vnet = path.vnet or event.vnet
        if event.stage == "READ":
            path.waited_us = event.value
        elif event.stage == "PEEK" and event.before:
            path.slept_us = event.value
        elif event.drop and event.value:
            path.notes["tun write"] = f"refused: {os.strerror(event.value)}"
        if event.data and not path.data:
            path.data = event.data
            path.chosen = self._filter is None or self._filter(event.data, event.length)
        if event.stage == "COMMIT" and self._waiting:
            if event.epochs != self._epochs:
                self._epochs = event.epochs
                for waiting in self._waiting.values():
                    waiting.forget()
            self._waiting[event.direction].add(event.index, path.steps)
        if event.stage in ("PEEK", "COMMIT") and "commit" in path.steps and "peek" in path.steps:
            self.clocks.add(path.direction, path.steps["commit"], path.steps["peek"])

    def _take_batch(self, event: Event) -> None:
        for record in event.batch(MOST):
            path = self._paths.get(record)
            if path is not None:
                self._stamp(path, event)
                if event.stage == "PUBLISH":
                    path.notes["doorbell"] = _NOTICE.get(event.value, "")

    def _stamp(self, path: PacketTrace, event: Event) -> None:
        before, done = _STAMPS[event.stage]
        if before and event.before:
            path.steps.setdefault(before, event.before)
        path.steps.setdefault(done, event.time)
        path.look, path.touched = self._look, time.monotonic_ns()

    def finished(self, *, everything: bool = False) -> Iterator[PacketTrace]:
        """The wanted paths that are complete or late, or with ``everything`` all.

        A complete one waits for one more look, since the other side's ring may have been read before this one.
        """
        self._now = time.monotonic_ns()
        drops, self._drops = self._drops, []
        yield from (path for path in drops if path.chosen)
        done = [key for key, path in self._paths.items() if everything or self._complete(path) or path.late]
        for key in done:
            path = self._paths.pop(key)
            if path.chosen:
                yield path

    def _complete(self, path: PacketTrace) -> bool:
        if not path.finished or path.look >= self._look:
            return False
        both = "commit" in path.steps and "peek" in path.steps
        return both or not self._patience_ns or self._now - path.touched > self._patience_ns
