"""Joins the events of both sides to the traces of single packets.

::

    producer   reserve - port read - commit - publish - doorbell
    engine       read - write - publish
    consumer       wake-up - peek - port write - release

Both sides' events of one packet have the same queue, epochs and record number.  The steps of a simulated engine are
matched by the record's place in the ring (``engine_log.py``).
"""

from __future__ import annotations

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Event, Record
from vnetcard.tap import engine_log
from vnetcard.tap.clocks import Clocks

STEPS: Final = (
    "reserve",
    "port read",
    "commit",
    "publish",
    "doorbell",
    *engine_log.STEPS,
    "wake-up",
    "peek",
    "port write",
    "release",
)
"""In the order of the path; ``wake-up`` occurs when the consumer slept."""
_STAMPS: Final = {
    "READ": ("reserve", "port read"),
    "COMMIT": ("", "commit"),
    "PUBLISH": ("publish", "doorbell"),
    "PEEK": ("wake-up", "peek"),
    "WRITE": ("", "port write"),
    "RELEASE": ("", "release"),
}
"""The steps whose times are ``before`` and ``time`` of a stage's event."""
_NOTICE: Final = {
    T.NOTICES["NONE"]: "the peer polls",
    T.NOTICES["RUNG"]: "written",
    T.NOTICES["AWAKE"]: "not needed, the peer is awake",
    T.NOTICES["WOKEN"]: "the peer was woken",
}
LATE_NS: Final = 1_000_000_000
"""A trace without a new event for so long gets none."""
MOST: Final = 100_000
"""Unfinished traces that are kept; the oldest are dropped."""


@dataclass(slots=True)
class PacketTrace:
    """One packet.  ``steps``: the time of each step in nanoseconds, by the clock of the side that did it."""

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
    poll: int = 0
    touched: int = 0
    ethernet: bool = False

    @property
    def producer(self) -> int:
        """The side that sent it."""
        return L.DIRECTIONS.index(self.direction)

    def place(self, step: str) -> str:
        """Where ``step`` happens: host, card or engine."""
        if step in engine_log.STEPS:
            return "engine"
        return L.SIDES[1 - self.producer if self.across(step) else self.producer]

    def aligned(self, clocks: Clocks) -> list[tuple[str, int]]:
        """The steps by the host's clock, in the order in which they happened.

        While the clocks are not known, the consumer's steps are placed after the producer's.
        """
        out = []
        for step, at in self.steps.items():
            out.append((step, at - clocks.offset(at).value if self.place(step) == "card" else at))
        beyond = {step for step in self.steps if not clocks.known and self.across(step)}
        return sorted(out, key=lambda item: (item[0] in beyond, item[1], STEPS.index(item[0])))

    def across(self, step: str) -> bool:
        """Whether ``step`` is the consumer's."""
        return STEPS.index(step) >= STEPS.index("wake-up")

    def parts(self, clocks: Clocks) -> list[list[tuple[str, int]]]:
        """The steps as ``aligned``, split where the time between two steps is not known."""
        steps = self.aligned(clocks)
        if clocks.known:
            return [steps]
        both = [[item for item in steps if self.across(item[0]) == across] for across in (False, True)]
        return [part for part in both if part]

    @property
    def finished(self) -> bool:
        """Whether the packet was delivered or dropped."""
        return bool(self.drop) or "port write" in self.steps

    @property
    def late(self) -> bool:
        """Whether no event has come for ``LATE_NS``."""
        return time.monotonic_ns() - self.touched > LATE_NS


class Tracer:
    """Collects events, and yields traces once they are complete or late (``LATE_NS``)."""

    def __init__(
        self,
        *,
        chosen: Callable[[bytes, int], bool] | None = None,
        shared_clock: bool = False,
        engine: bool = False,
        late_ns: int = 0,
    ) -> None:
        """``chosen``: which packets are wanted, as ``bpf.Filter``; ``shared_clock``: both sides use one clock.

        ``engine``: the steps of an engine will be fed too.  ``late_ns``: one side's events come up to so much later.
        """
        self._late_ns = late_ns
        self._filter = chosen
        self._traces: OrderedDict[Record, PacketTrace] = OrderedDict()
        self._drops: list[PacketTrace] = []
        self._poll = 0
        self._now = 0
        self._waiting = {direction: engine_log.Waiting() for direction in L.DIRECTIONS} if engine else {}
        self._epochs = (0, 0)
        self.clocks = Clocks(shared=shared_clock)

    def feed(self, events: Iterable[Event], engine: Iterable[engine_log.Reached] = ()) -> None:
        """Add the events of one poll, each ring's in order, and the steps of the engine from before that poll."""
        self._poll += 1
        for event in events:
            if event.stage in ("PUBLISH", "RELEASE"):
                self._take_batch(event)
            else:
                self._take(event)
        for reached in engine:
            self._waiting[reached.direction].reached(reached)
        while len(self._traces) > MOST:
            self._traces.popitem(last=False)

    def _take(self, event: Event) -> None:
        if event.flags & T.FLAGS["NOSEQ"]:
            trace = PacketTrace(event.direction, event.queue, event.epochs, None)
            self._drops.append(trace)
        elif event.record in self._traces:
            trace = self._traces[event.record]
        else:
            trace = self._traces[event.record] = PacketTrace(event.direction, event.queue, event.epochs, event.seq)
        self._stamp(trace, event)
        trace.length = event.length
        trace.drop = trace.drop or event.drop_name
        trace.vnet = trace.vnet or event.vnet
        if event.stage == "READ":
            trace.waited_us = event.value
        elif event.stage == "PEEK" and event.before:
            trace.slept_us = event.value
        elif event.drop and event.value:
            known = event.value in errno.errorcode
            trace.notes["port write"] = f"refused: {os.strerror(event.value) if known else f'errno {event.value}'}"
        if event.data and not trace.data:
            trace.data, trace.ethernet = event.data, event.ethernet
            trace.chosen = self._filter is None or self._filter(event.data, event.length)
        if event.stage == "COMMIT" and self._waiting:
            if event.epochs != self._epochs:
                self._epochs = event.epochs
                for waiting in self._waiting.values():
                    waiting.forget()
            self._waiting[event.direction].add(event.index, trace.steps)
        if event.stage in ("PEEK", "COMMIT") and "commit" in trace.steps and "peek" in trace.steps:
            self.clocks.add(trace.direction, trace.steps["commit"], trace.steps["peek"])

    def _take_batch(self, event: Event) -> None:
        for record in event.covered(self._traces.keys()):
            trace = self._traces[record]
            self._stamp(trace, event)
            if event.stage == "PUBLISH":
                trace.notes["doorbell"] = _NOTICE.get(event.value, "")

    def _stamp(self, trace: PacketTrace, event: Event) -> None:
        before, done = _STAMPS[event.stage]
        if before and event.before:
            trace.steps.setdefault(before, event.before)
        trace.steps.setdefault(done, event.time)
        trace.poll, trace.touched = self._poll, time.monotonic_ns()

    def finished(self, *, everything: bool = False) -> Iterator[PacketTrace]:
        """The wanted traces that are complete or late; with ``everything`` all of them.

        A complete trace waits for one more poll: the other side's ring may have been read before this one.
        """
        self._now = time.monotonic_ns()
        drops, self._drops = self._drops, []
        yield from (trace for trace in drops if trace.chosen)
        done = [key for key, trace in self._traces.items() if everything or self._complete(trace) or trace.late]
        for key in done:
            trace = self._traces.pop(key)
            if trace.chosen:
                yield trace

    def _complete(self, trace: PacketTrace) -> bool:
        if not trace.finished or trace.poll >= self._poll:
            return False
        both = "commit" in trace.steps and "peek" in trace.steps
        return both or not self._late_ns or self._now - trace.touched > self._late_ns
