"""A stage's figures, and how one is measured: repeat the step for a moment, divide the time.

Figures include the cost of a Python call, about 0.1 us, which matters for memory but not for a bus.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

SMALL, LARGE = 1536, 65536
"""Bytes: the record of a packet of the default MTU, and a super-packet."""
MOMENT = 0.05
"""Seconds that one figure takes, at most and roughly."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a packet's path, alone: microseconds per step, Gbit/s for both sizes; None: not measured."""

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
