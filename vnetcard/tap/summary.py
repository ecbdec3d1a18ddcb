"""Statistics over many traces: how long each stage takes, and which one is the bottleneck.

A stage is the time between two steps.  ``wake-up`` is the wait of a record whose consumer slept, ``in the ring``
that of a record whose consumer was busy with others, or polled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vnetcard.ring import layout as L
from vnetcard.tap import engine_log
from vnetcard.tap.clocks import Clocks
from vnetcard.tap.packet_trace import PacketTrace

PRODUCER: Final = ("room", "port read", "commit", "doorbell")
CONSUMER: Final = ("wake-up", "in the ring", "peek", "port write")
STAGES: Final = (*PRODUCER, *engine_log.STEPS, *CONSUMER)
SLEEP_US: Final = 100_000
"""Microseconds that a pump sleeps without a wake-up (vnc_wait.h)."""


def stage_times(trace: PacketTrace, clocks: Clocks) -> dict[str, float]:
    """Microseconds of each stage of the trace; the time between the sides only if the clocks are known."""
    at = dict(trace.aligned(clocks))
    out = {"room": float(trace.waited_us)} if "port read" in at else {}

    def stage(name: str, begin: str, end: str) -> None:
        if begin in at and end in at:
            out[name] = max(0, at[end] - at[begin]) / 1000

    stage("port read", "reserve", "port read")
    stage("commit", "port read", "commit")
    stage("doorbell", "commit", "doorbell")
    before = "commit"
    for step in engine_log.STEPS:
        if step in at:
            stage(step, before, step)
            before = step
    woken = "wake-up" in at and (not clocks.known or at["wake-up"] > at.get("commit", 0))
    if clocks.known:
        stage("wake-up" if woken else "in the ring", before, "wake-up" if woken else "peek")
    stage("peek", "wake-up" if woken else "peek", "peek")
    stage("port write", "peek", "port write")
    return out


@dataclass(frozen=True, slots=True)
class Figures:
    """Statistics of one stage, in microseconds."""

    count: int
    least: float
    median: float
    p99: float
    most: float
    total: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Figures:
        """Of at least one time."""
        ordered = sorted(times)
        n = len(ordered)

        def at(share: float) -> float:
            return ordered[min(n - 1, int(share * n))]

        return cls(n, ordered[0], at(0.5), at(0.99), ordered[-1], sum(ordered))


@dataclass(slots=True)
class Summary:
    """Statistics of one direction; ``transport`` names an engine between the sides that writes no events, or is ''."""

    direction: str
    transport: str = ""
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    drops: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    packets: int = 0
    stuck: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    slept_through: int = 0
    unknown: int = 0

    def add(self, trace: PacketTrace, clocks: Clocks) -> None:
        """Add a trace; one that is neither finished nor late is ignored."""
        if not trace.finished and not trace.late:
            return  # still in flight at the end
        self.packets += 1
        if trace.drop:
            self.drops[trace.drop] += 1
        elif not trace.finished:
            self.stuck[trace.aligned(clocks)[-1][0]] += 1
        for stage, us in stage_times(trace, clocks).items():
            self.times[stage].append(us)
        if not clocks.known and len(trace.parts(clocks)) > 1:
            self.unknown += 1
        if trace.slept_us > 0.9 * SLEEP_US:
            self.slept_through += 1

    def figures(self) -> dict[str, Figures]:
        """The statistics by stage, in the order of the path."""
        return {stage: Figures.of(self.times[stage]) for stage in STAGES if self.times.get(stage)}

    def bottleneck(self) -> tuple[str, str]:
        """The stage that takes most of the time, and what that means; '' without packets."""
        figures = self.figures()
        if not figures:
            return "", "no packets"
        producer = L.SIDES[L.DIRECTIONS.index(self.direction)]
        consumer = L.SIDES[1 - L.DIRECTIONS.index(self.direction)]
        name = max(figures, key=lambda stage: figures[stage].total)
        whole = sum(figure.total for figure in figures.values()) or 1.0
        share = f"{figures[name].total / whole:.0%} of the time" + (" that is known" if self.unknown else "")
        if name in ("wake-up", "in the ring") and self.transport:
            return (
                name,
                f"{share}: {self.transport} moves records, or the {consumer}'s pump is late; no event shows which",
            )
        if name in ("in the ring", "room"):
            busy = [stage for stage in ("peek", "port write") if stage in figures]
            if busy:
                slow = max(busy, key=lambda stage: figures[stage].total)
                why = f"the {consumer}'s pump is behind; most of what it does is {slow}"
                return name, f"{share}: {'the ring is full' if name == 'room' else 'records wait in the ring'}, {why}"
            return name, f"{share}: {'the ring is full' if name == 'room' else 'records wait in the ring'}"
        if name == "wake-up":
            if self.slept_through > figures[name].count // 2:
                return name, f"{share}: no wake-up reaches the {consumer}'s pump, it sleeps until its time-out"
            return name, f"{share}: the {consumer}'s pump sleeps when a record comes, and is scheduled late"
        if name in engine_log.STEPS:
            return name, f"{share}, spent by the engine and its buses"
        return name, f"{share}, spent by the {producer if name in PRODUCER else consumer}'s pump"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        stage, why = self.bottleneck()
        return {
            "direction": self.direction,
            "packets": self.packets,
            "drops": dict(self.drops),
            "stuck_after": dict(self.stuck),
            "clocks_not_known": self.unknown,
            "stages_us": {
                name: {"count": f.count, "min": f.least, "p50": f.median, "p99": f.p99, "max": f.most}
                for name, f in self.figures().items()
            },
            "bottleneck": {"stage": stage, "why": why},
        }

    def text(self) -> str:
        """For people."""
        lines = [f"{self.direction}: {self.packets} packets"]
        for name, count in self.drops.items():
            lines[0] += f", {count} dropped ({name})"
        for name, count in self.stuck.items():
            lines[0] += f", {count} not seen after {name}"
        if figures := self.figures():
            lines.append(f"  {'stage':16}{'min us':>10}{'p50 us':>10}{'p99 us':>10}{'max us':>12}{'count':>9}")
            for name, f in figures.items():
                lines.append(f"  {name:16}{f.least:10.1f}{f.median:10.1f}{f.p99:10.1f}{f.most:12.1f}{f.count:9}")
        if self.unknown:
            lines.append(
                f"  without the time between the sides of {self.unknown}: the offset of the clocks was not known"
            )
        stage, why = self.bottleneck()
        lines.append(f"  bottleneck: {stage + ', ' if stage else ''}{why}")
        return "\n".join(lines)
