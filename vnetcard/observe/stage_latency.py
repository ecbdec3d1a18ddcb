"""How long each stage takes on the live link: pings, traced as ``vnetcard trace`` does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from vnetcard.ping.suite import Target, run_suite
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import TapRequest
from vnetcard.tap.packet_trace import Tracer
from vnetcard.tap.source import POLL_EVERY, Sources, transport_of
from vnetcard.tap.summary import Summary

RING: Final = 1 << 20
SNAP: Final = 128
PINGS, SIZE, INTERVAL = 100, 56, 0.005


def follow(window: str, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Ping ``targets`` and summarize the stages of each direction that had packets.

    Raises ConfigError when no agent can be traced.
    """
    request = TapRequest(T.mask(tuple(T.STAGES)), T.mask(("READ", "PEEK")), SNAP, 1, RING)
    with Sources(window, request) as sources:
        summaries = {direction: Summary(direction, transport_of(window)) for direction in L.DIRECTIONS}
        tracer = Tracer(shared_clock=sources.one_clock)
        pings = threading.Thread(
            target=run_suite, args=(targets, (SIZE,)), kwargs={"count": PINGS, "interval": INTERVAL}
        )
        pings.start()
        try:
            while pings.is_alive() and sources.live:
                tracer.feed(sources.drain())
                _add(summaries, tracer, everything=False)
                time.sleep(POLL_EVERY)
        finally:
            pings.join()
        tracer.feed(sources.drain())
        _add(summaries, tracer, everything=True)
    return [summary.as_json() for summary in summaries.values() if summary.packets]


def _add(summaries: dict[str, Summary], tracer: Tracer, *, everything: bool) -> None:
    for trace in tracer.finished(everything=everything):
        summaries[trace.direction].add(trace, tracer.clocks)
