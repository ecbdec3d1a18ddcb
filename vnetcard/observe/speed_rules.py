"""Rules that find what makes a link slow: its rings and its CPU time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from vnetcard.codes.cause import CauseCode
from vnetcard.observe.cause import Cause, counts, other
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.ring.window_dump import queue_of, ring_name

FULL_SHARE: Final = 0.02
"""A full ring is a cause from this share of all records; below, it only means a burst."""
WAIT_SHARE: Final = 0.8
"""A pump is starved when it waits for a CPU for this share of the time in which it could run (and two more limits)."""
WAIT_LEAST_NS: Final = 500_000_000
"""The least wait in nanoseconds of a starved pump."""
WAIT_OF_ALL: Final = 0.05
"""The least share of the whole time that a starved pump waits: a pump that hardly ever runs waits, too."""
STUCK_S: Final = 1.5
"""Seconds after which a ring that holds records and does not move has a stuck consumer."""
SMALL_RING: Final = 16
"""A ring for fewer of the largest packets than this is small."""
TINY_RING: Final = 4
"""A ring for fewer than this is too small whatever else is wrong."""


def rings(snapshot: Snapshot) -> Iterator[Cause]:
    """Rings whose consumer is stuck or slow, and rings that are too small."""
    counted, slow = counts(snapshot), starved(snapshot)
    for sender, direction in enumerate(L.DIRECTIONS):
        source, sink = L.SIDES[sender], L.SIDES[1 - sender]
        tx = counted.get(source, {})
        full, records = tx.get("tx_ring_full", 0), tx.get("tx_sent", 0)
        queues, packet = snapshot.rings(direction), _largest_record(snapshot)
        if not queues or (sink in slow and queues[0]["size"] >= TINY_RING * packet):
            continue
        if stuck := [ring for ring in queues if _is_stuck(snapshot, ring, sink)]:
            name = ring_name(snapshot.queues, queue_of(stuck[0]), direction)
            yield Cause(
                CauseCode.STUCK_CONSUMER, sink, f"{name} holds {stuck[0]['records']} records, and the {sink} takes none"
            )
        elif full and full > FULL_SHARE * records:
            if queues[0]["size"] < SMALL_RING * packet:
                yield Cause(
                    CauseCode.RING_TOO_SMALL,
                    source,
                    f"{direction} was full {full} times in {records} records, and holds only "
                    f"{queues[0]['size'] // packet} packets of {packet} bytes: use a larger window or --queue-bytes",
                )
            else:
                yield Cause(
                    CauseCode.SLOW_CONSUMER,
                    sink,
                    f"{direction} was full {full} times in {records} records: the {sink} takes them too slowly",
                )


def _largest_record(snapshot: Snapshot) -> int:
    """Bytes of the largest record that the link may carry."""
    link = snapshot.views[0]["link"]
    super_packets = any(verdict == "on" for name, verdict in link.get("features", {}).items() if name != "CSUM")
    return L.align_record(L.FRAME_MAX if super_packets else link.get("mtu") or L.MTU_DEFAULT)


def _is_stuck(snapshot: Snapshot, ring: dict[str, Any], sink: str) -> bool:
    """Has cons stood still for ``STUCK_S``?  As the producer's agent saw it: the consumer may report anything."""
    view = snapshot.by_side.get(other(sink)) or snapshot.views[0]
    if view["link"]["state"] != "run" or not ring["records"]:
        return False
    began = view["at"] - view["link"]["since"]
    return bool(view["at"] - max(ring["cons_moved_at"] or 0.0, began) > STUCK_S)


def cpu(snapshot: Snapshot) -> Iterator[Cause]:
    """Pumps that waited for a CPU longer than they had one."""
    for side, share in sorted(starved(snapshot).items(), key=lambda pair: -pair[1]):
        yield Cause(
            CauseCode.CPU_STARVED,
            side,
            f"the {side}'s pumps waited for a CPU for {share:.0%} of the time in which they could run",
        )


def starved(snapshot: Snapshot) -> dict[str, float]:
    """The sides whose pumps lack CPU time, with the share of the time that they waited, 0 to 1."""
    found = {}
    for side, count in counts(snapshot).items():
        waited = sum(count.get(f"{pump}_cpu_wait_ns", 0) for pump in ("tx", "rx"))
        ran = sum(count.get(f"{pump}_cpu_ns", 0) for pump in ("tx", "rx"))
        least = max(WAIT_LEAST_NS, WAIT_OF_ALL * 1e9 * _counted_seconds(snapshot, side))
        if waited > least and waited / (waited + ran) > WAIT_SHARE:
            found[side] = waited / (waited + ran)
    return found


def _counted_seconds(snapshot: Snapshot, side: str) -> float:
    """Seconds since the counters of ``side`` were cleared, or since the agent's start."""
    view = snapshot.by_side.get(side)
    if view is None:
        return 0.0
    cleared = view["cleared"].get("errors")
    began = cleared["at"] if cleared else min((one["at"] for one in view["link"]["history"]), default=view["at"])
    return float(view["at"] - began)


RULES = (rings, cpu)
"""In the order of probability: an earlier cause explains later ones."""
