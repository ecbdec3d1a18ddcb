"""A stage's figures, and how a figure is taken: repeat for a moment, divide.

Figures include what Python adds to a call, about 0.1 us: of no weight for a bus, of some for memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

SMALL, LARGE = 1536, 65536
"""Bytes: a packet of the default MTU as a record takes them, and a super-packet."""
MOMENT = 0.05
"""Seconds that one figure takes, at most and roughly."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a packet's way, alone: microseconds for one step, Gbit/s for both sizes; None: not measured."""

    name: str
    latency_us: float | None
    small_gbit: float | None
    large_gbit: float | None
    note: str


def seconds_each(step: Callable[[], object], *, moment: float = MOMENT) -> float:
    """How long ``step`` takes on average; it is run once at least."""
    start = now = time.perf_counter()
    count = 0
    while now - start < moment:
        step()
        count += 1
        now = time.perf_counter()
    return (now - start) / count


def gbit(size: int, seconds: float) -> float:
    """Gbit/s of ``size`` bytes in ``seconds``."""
    return size * 8 / seconds / 1e9
