"""The counters of a ``Snapshot`` as metrics: names, kinds and labels; ``cli/metrics.py`` serves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.drop import DropCode
from vnetcard.observe.causes import causes
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L
from vnetcard.ring.derived import GAUGES, of_queue
from vnetcard.ring.window_dump import queue_of

PREFIX: Final = "vnetcard_"
_RING: Final = {
    "fill": "bytes in the ring",
    "size": "bytes of the ring",
    "records": "records in the ring",
}
_MEANING: Final = {
    "taken": "packets taken from the interface",
    "sent": "records put into the ring",
    "received": "records taken out of the ring",
    "delivered": "packets written to the interface",
    "busy_ns": "nanoseconds from the end of a wait to the next",
    "ns_per_record": "nanoseconds busy per record",
    "records_per_call": "records per call",
    "calls": "batches of records between two waits",
    "moved_at_ns": "when the last batch ended, nanoseconds since 1970",
    "high_water": "most bytes that the consumer found waiting",
    "late_wakeups": "sleeps that ended by time-out although the peer had moved",
    "irq_wakeups": "sleeps that an interrupt of the peer ended",
    "cpu_ns": "nanoseconds that the pump's thread ran",
    "cpu_wait_ns": "nanoseconds that the pump's thread waited for a CPU",
    "ring_full": "waits for room in the ring",
    "ring_empty": "waits for a record in the ring",
}

_PUNT: Final = {
    "punted": "packets that went to the program of --punt",
    "dropped": "packets that it did not take",
    "returned": "packets that it sent into the port",
    "return_refused": "packets that the port did not take from it",
}

_DROPS: Final = {code.value: code.meaning for code in DropCode}


@dataclass(frozen=True, slots=True)
class Metric:
    """One value; a ``counter`` only counts up, and Prometheus calls it ``..._total``."""

    name: str
    counter: bool
    meaning: str
    labels: tuple[tuple[str, str], ...]
    value: float

    @property
    def sample(self) -> str:
        """The name of the sample in Prometheus."""
        return f"{self.name}_total" if self.counter else self.name


def metrics(snapshot: Snapshot, window: str) -> Iterator[Metric]:
    """All metrics of the link over ``window``, which is a label of each: a machine may have several links."""
    for one in _metrics(snapshot):
        yield replace(one, labels=(*one.labels, ("window", window)))


def _metrics(snapshot: Snapshot) -> Iterator[Metric]:
    """Totals, whatever was cleared: Prometheus takes a counter that decreases for a restart."""
    unresponsive = snapshot.unresponsive()
    for side in L.SIDES:
        answers = side in snapshot.by_side and side not in unresponsive
        yield _gauge("agent_up", "1 if the agent answers", answers, side=side)
        if answers:
            link = snapshot.by_side[side]["link"]
            yield _gauge("link_running", "1 while packets move", link["up"], side=side)
            if reason := link.get("reason_code"):
                yield _gauge("link_reason", "1 for the code of the link's reason", 1, side=side, code=reason)
            braked = link.get("braked", 0) > 0
            yield _gauge("link_braked", "1 while the link pauses because of what the peer did", braked, side=side)
            yield _gauge("link_mtu", "the MTU agreed on; 0 without a link", link.get("mtu") or 0, side=side)
    for side, parts in snapshot.figures().items():
        index = L.SIDES.index(side)
        for pump, direction in (("tx", L.DIRECTIONS[index]), ("rx", L.DIRECTIONS[1 - index])):
            yield from _pump("", parts[pump], direction=direction, side=side)
            for queue in (
                range(snapshot.queues) if snapshot.queues > 1 else ()
            ):  # another name: the sums would count twice
                one = parts.get(of_queue(pump, queue), {})
                yield from _pump("queue_", one, direction=direction, queue=str(queue), side=side)
        for name, value in parts["link"].items():
            yield Metric(PREFIX + name, True, f"events of the link: {name}", (("side", side),), value)
        if (kernel := snapshot.kernel(side)) is not None:
            for code in (code for code in DiscardCode if code in kernel["counters"]):
                labels = (("scope", "interface" if code.of_interface else "namespace"), ("side", side))
                yield Metric(PREFIX + code, True, code.meaning, labels, kernel["counters"][code])
        punt = (snapshot.port(side) or {}).get("punt") or {}
        for name, value in punt.items():
            if name in _PUNT:
                yield Metric(f"{PREFIX}punt_{name}", True, _PUNT[name], (("side", side),), value)
    for cause in causes(snapshot):
        yield _gauge("cause", "1 for each cause that `vnetcard show errors` names", 1, side=cause.side, code=cause.code)
    for ring in snapshot.rings():
        which = {"queue": str(queue_of(ring))} if snapshot.queues > 1 else {}
        for name, meaning in _RING.items():
            yield _gauge(f"ring_{name}", meaning, ring[name], direction=ring["direction"], **which)
    for view in snapshot.views:
        for register in view["registers"]:
            name = f"register_{register['name']}"
            yield _gauge(name, f"of the DMA engine: {register['meaning']}", register["value"], side=view["side"])


def _pump(prefix: str, figures: Mapping[str, float], **labels: str) -> Iterator[Metric]:
    """The counters of a pump, or the sums of one end's pumps over all queues."""
    for name, value in figures.items():
        gauge = name in GAUGES or name.endswith(("_per_call", "_per_record"))
        yield Metric(PREFIX + prefix + name, not gauge, _meaning(name), tuple(sorted(labels.items())), value)


def _gauge(name: str, meaning: str, value: float, **labels: str) -> Metric:
    return Metric(PREFIX + name, False, meaning, tuple(sorted(labels.items())), value)


def _meaning(name: str) -> str:
    if name in _DROPS:
        return _DROPS[name]
    what = name.partition("_")[2]
    return _MEANING.get(what, what.replace("_", " "))
