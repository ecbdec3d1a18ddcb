"""The counters of a pump by name: their growth since a baseline, and figures derived from them.

A name is the same in text, in JSON and, between ``vnetcard_`` and Prometheus' own ``_total``, in the metrics.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from vnetcard.ring import layout as L

GAUGES: Final = ("tx_moved_at_ns", "rx_moved_at_ns", "rx_high_water")
"""Values that do not count up, so that a difference of them has no meaning."""
PUMPS: Final = {"tx": "tx_sent", "rx": "rx_received"}
"""The counter of records of a pump."""


def of_queue(pump: str, queue: int) -> str:
    """The key of one queue's pump among the counters of a side: ``tx queue 0``."""
    return f"{pump} queue {queue}"


def since(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """``now`` minus ``before``; gauges unchanged; a counter that ``before`` lacks counts from 0."""
    return {name: n if name in GAUGES else n - before.get(name, 0) for name, n in now.items()}


def derived(pump: str, figures: Mapping[str, int]) -> dict[str, float]:
    """Calls, records per call and nanoseconds per record of ``pump``, tx or rx."""
    calls = sum(figures.get(f"{pump}_{name}", 0) for name in L.BATCHES)
    records = figures.get(PUMPS[pump], 0)
    busy = figures.get(f"{pump}_busy_ns", 0)
    return {
        f"{pump}_calls": calls,
        f"{pump}_records_per_call": round(records / calls, 2) if calls else 0,
        f"{pump}_ns_per_record": round(busy / records) if records else 0,
    }


@functools.cache  # an idle agent asks for every name once per tick
def is_error_counter(name: str) -> bool:
    """Does ``name`` count drops, losses, violations, or events that a healthy link does not have?"""
    return (
        name.startswith(("drop_", "viol_", "lost_"))
        or name.endswith("late_wakeups")
        or (name in L.LINK_COUNTERS and name not in ("link_up", "peer_back"))
    )
