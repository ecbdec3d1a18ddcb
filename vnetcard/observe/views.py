"""A snapshot of a link: the answers of its agents, with each side's counters from the agent that has them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vnetcard.agent.control import ask, ask_all
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.error import ErrorCode
from vnetcard.engine.register_text import since as growth
from vnetcard.errors import ConfigError
from vnetcard.observe import unresponsive
from vnetcard.ring import layout as L
from vnetcard.ring.derived import derived, is_error_counter, of_queue, since
from vnetcard.ring.window_dump import queue_of
from vnetcard.window import WindowUrl

SECTIONS: Final = ("runtime", "ring", "port", "errors", "registers", "link")
"""What can be shown and cleared."""

View = dict[str, Any]
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Error:
    """A counter of errors that is not 0.

    ``last``, in seconds since 1970, and ``sample`` are known only when the agent of ``side`` has answered.
    """

    side: str
    name: str
    count: int
    last: float | None
    sample: str


@dataclass(frozen=True, slots=True)
class Discard:
    """A counter of the kernel of ``side`` that is not 0.

    ``where``: the interface's name, or '' for one of the whole namespace.  ``last`` as for ``Error``.
    """

    side: str
    code: DiscardCode
    count: int
    last: float | None
    where: str


class Snapshot:
    """What the agents answered at one moment."""

    def __init__(self, views: list[View]) -> None:
        """``views`` as ``agent.collect`` or ``observe.unresponsive`` makes them: one or two, the host's first."""
        self.views = views
        self.by_side = {view["side"]: view for view in views}

    def figures(self, what: str | None = None) -> dict[str, Figures]:
        """Counters by side, then by ``tx``, ``rx`` or ``link``; with ``what``, their growth since that was cleared.

        With several queues ``tx`` and ``rx`` are sums, and ``tx queue 0`` and so on their parts.
        """
        found: dict[str, Figures] = {}
        for side in L.SIDES:
            source = self.by_side.get(side) or next((view for view in self.views if side in view["sides"]), None)
            if source is None or side not in source["sides"]:
                continue
            before = self._baseline(side, what)
            found[side] = {
                part: dict(since(counters, before.get(part, {}))) for part, counters in source["sides"][side].items()
            }
            for part in found[side]:
                if part != "link":
                    counted = {name: int(n) for name, n in found[side][part].items()}
                    found[side][part] |= derived(part.split()[0], counted)
        return found

    def unresponsive(self) -> dict[str, str]:
        """By side, why the agent of this machine did not answer."""
        return {
            view["side"]: view["link"]["reason"] for view in self.views if view["link"]["state"] == unresponsive.STATE
        }

    def _baseline(self, side: str, what: str | None) -> dict[str, dict[str, int]]:
        view = self.by_side.get(side)
        cleared = view["cleared"].get(what) if view and what else None
        return cleared["figures"] if cleared else {}

    def registers(self, side: str) -> list[View]:
        """The engine's registers of ``side``; ``since`` is the growth of a counter since they were cleared."""
        view = self.by_side[side]
        cleared = view["cleared"].get("registers")
        if not cleared:
            return list(view["registers"])
        now = {row["name"]: row["value"] for row in view["registers"]}
        grown = growth(now, cleared["figures"]["registers"])
        return [row | ({"since": grown[row["name"]]} if row["name"] in grown else {}) for row in view["registers"]]

    def cleared_at(self, what: str) -> float | None:
        """When ``what`` was cleared last, in seconds since 1970; None if never."""
        times = [view["cleared"][what]["at"] for view in self.views if what in view["cleared"]]
        return max(times, default=None)

    def errors(self, what: str | None = "errors") -> list[Error]:
        """Every drop, loss and violation that was counted, the host's first."""
        rows = []
        for side, parts in self.figures(what).items():
            notes = self.by_side[side]["notes"] if side in self.by_side else {}
            for part in ("tx", "rx", "link"):
                for name, count in parts[part].items():
                    if count and is_error_counter(name):
                        note = notes.get(name, {"at": None, "sample": ""})
                        rows.append(Error(side, name, int(count), note["at"], note["sample"]))
        return rows

    def kernel(self, side: str) -> View | None:
        """What the agent of ``side`` knows of its kernel's counters beside the link; None where it does not know."""
        found = self.by_side[side]["port"].get("kernel") if side in self.by_side else None
        return found if found and found["since"] is not None else None

    def discards(self, what: str | None = "errors") -> list[Discard]:
        """Every packet that a kernel discarded beside the link, since the link came up or ``what`` was cleared."""
        rows = []
        for side in L.SIDES:
            kernel = self.kernel(side)
            before = self._baseline(side, what).get("kernel", {})
            notes = self.by_side[side]["notes"] if kernel else {}
            for code in DiscardCode:
                if kernel and (count := kernel["counters"].get(code, 0) - before.get(code, 0)) > 0:
                    last = notes.get(code, {"at": None})["at"]
                    where = self.by_side[side]["port"]["name"] if code.of_interface else ""
                    rows.append(Discard(side, code, count, last, where))
        return rows

    def port(self, side: str) -> View | None:
        """The port of ``side`` and its details, its counters since they were cleared; None where it is not known."""
        found: View = self.by_side[side]["port"] if side in self.by_side else {}
        if not found.get("details"):
            return None
        details: View = found["details"]
        before = self._baseline(side, "port").get("device", {})
        if device := details["device"]:
            counters = {name: max(0, n - before.get(name, 0)) for name, n in device["counters"].items()}
            details = details | {"device": device | {"counters": counters}}
        return {name: value for name, value in found.items() if name != "details"} | details

    def rings(self, only: str | None = None) -> list[View]:
        """The rings, of one direction or both, with the counters of the ends that are known."""
        figures = self.figures("ring")
        rings = []
        for sender, direction in enumerate(L.DIRECTIONS):
            source, sink = L.SIDES[sender], L.SIDES[1 - sender]
            knows = [self.by_side[source]] if source in self.by_side else self.views
            for ring in next((view["rings"] for view in knows if view["rings"]), []):
                if ring["direction"] == direction and only in (None, direction):
                    tx = self._end(figures.get(source, {}), "tx", queue_of(ring))
                    rx = self._end(figures.get(sink, {}), "rx", queue_of(ring))
                    rings.append(ring | {name: n for name, n in (tx | rx).items() if name in RING_FIGURES})
        return sorted(rings, key=queue_of)

    def _end(self, figures: Figures, pump: str, queue: int) -> dict[str, float]:
        """The counters of one queue; where there is only one queue, the sums."""
        return figures.get(of_queue(pump, queue), figures.get(pump, {}))

    @property
    def queues(self) -> int:
        """Queue pairs of the window; 1 as long as there is no window."""
        return 1 + max((queue_of(ring) for view in self.views for ring in view["rings"]), default=0)


RING_FIGURES: Final = ("tx_ring_full", "rx_ring_empty", "rx_high_water", "tx_moved_at_ns", "rx_moved_at_ns")


def gather(window: str) -> Snapshot:
    """Ask the agents of ``window`` on this machine; one that does not answer is replaced by what its window holds.

    Raises ConfigError when there is no agent.
    """
    url = str(WindowUrl.parse(window))
    answers = ask_all(url, "show")
    unanswered = [unresponsive.view(url, L.SIDES.index(side), why) for side, why in answers.unresponsive.items()]
    return Snapshot(sorted([*answers.said, *unanswered], key=lambda view: L.SIDES.index(view["side"])))


def clear(window: str, what: str) -> None:
    """Make the agents of ``window`` on this machine count ``what`` from now on; the counters themselves go on.

    Raises ConfigError when there is no agent, or one does not answer.
    """
    url = str(WindowUrl.parse(window))
    snapshot = gather(window)
    if snapshot.unresponsive():
        raise ConfigError("; ".join(snapshot.unresponsive().values()), code=ErrorCode.PEER_UNRESPONSIVE)
    for view in snapshot.views:
        ask(url, L.SIDES.index(view["side"]), "clear", what=what)
