"""The figures of a pump by name: since a baseline, and those that follow from others.

A name is the same in text, in JSON and, between ``vnetcard_`` and Prometheus' own ``_total``, in the metrics.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from vnetcard.ring import layout as L

GAUGES: Final = ("tx_moved_at_ns", "rx_moved_at_ns", "rx_high_water")
"""Figures that do not count up: they have no difference."""
PUMPS: Final = {"tx": "tx_sent", "rx": "rx_received"}
"""A pump's counter of records."""


def of_queue(pump: str, queue: int) -> str:
    """What a side's figures call one of several queues' pumps: ``tx queue 0``."""
    return f"{pump} queue {queue}"


def since(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """``now`` less ``before``; gauges as they are, and what an agent of another version did not have as 0."""
    return {name: n if name in GAUGES else n - before.get(name, 0) for name, n in now.items()}


def derived(pump: str, figures: Mapping[str, int]) -> dict[str, float]:
    """What follows from the counters of ``pump``, tx or rx; in nanoseconds and records."""
    calls = sum(figures.get(f"{pump}_{name}", 0) for name in L.BATCHES)
    records = figures.get(PUMPS[pump], 0)
    busy = figures.get(f"{pump}_busy_ns", 0)
    return {
        f"{pump}_calls": calls,
        f"{pump}_records_a_call": round(records / calls, 2) if calls else 0,
        f"{pump}_ns_a_record": round(busy / records) if records else 0,
    }


@functools.cache  # an agent asks for all names again and again, and is to be idle
def tells_of_trouble(name: str) -> bool:
    """Is it a drop, a loss, a violation, or an event that a link does without?"""
    return (
        name.startswith(("drop_", "viol_", "lost_"))
        or name.endswith("late_wakeups")
        or (name in L.LINK_COUNTERS and name not in ("link_up", "peer_back"))
    )
