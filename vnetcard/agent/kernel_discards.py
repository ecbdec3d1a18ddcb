"""The kernel's counters beside the link since it first came up, and the evidence of why they rose."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from vnetcard.agent.history import since_1970
from vnetcard.agent.misrouted import Misrouted, Place, judge
from vnetcard.agent.recent_packets import RecentPackets
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.errors import VnetcardError
from vnetcard.port import netns as ns
from vnetcard.port.interface import Interface
from vnetcard.port.kernel_counters import DroppingSocket, KernelCounters
from vnetcard.ring.dissect import dissect

QUIET_AFTER: Final = 5.0
"""Seconds without packets after which an agent's tick leaves the kernel alone; some discards come seconds late."""
JUDGED_MAX: Final = 16
"""Different packets about which the kernel is asked at one tick."""
EVIDENCE_MAX: Final = 16
"""Misrouted packets that are remembered."""
SOCKETS_MAX: Final = 4
ROUTING: Final = {
    CauseCode.FOREIGN_ADDRESS,
    CauseCode.NOT_FORWARDING,
    CauseCode.REVERSE_PATH_FILTER,
    CauseCode.NO_ROUTE_BACK,
    CauseCode.NEIGHBOUR_FAILED,
}
_SUSPECT: Final = [code for code in DiscardCode if ROUTING & set(code.causes)]
_TERMS: Final = {
    code: [(-1 if sign == "-" else 1, name) for sign, name in re.findall(r"([+-]?)([\w.]+)", code.source)]
    for code in DiscardCode
}


class KernelDiscards:
    """``begin`` and ``sample`` belong to the agent's thread; ``view`` and ``counts`` may be called by any.

    A counter that starts again from 0 (IPv6 does when the interface loses it) and an interface that is moved into
    another namespace make no difference: what was counted before stays counted.
    """

    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        self._lock = threading.Lock()
        self._counters: KernelCounters | None = None
        self._where = ("", 0)
        self._last: dict[str, int] = {}
        self._grown: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._begun = False
        self._since: float | None = None
        self._problem = ""
        self._recent: RecentPackets | None = None
        self._before: Mapping[str, int] = {}
        self._busy_until = 0.0
        self._old_sockets: dict[int, int] = {}
        self._evidence: dict[tuple[str, str, str], tuple[float, Misrouted]] = {}
        self._read()  # while this process may still enter the namespace

    def begin(self) -> None:
        """Count from now on; called whenever the link comes up, and only the first call counts."""
        self._begun = True
        with self._lock:
            if self._since is None:
                self._read()
                if self._counters is not None and not self._problem:
                    self._since = time.monotonic()
                    self._grown = dict.fromkeys(self._grown, 0)
                    self._old_sockets = {one.inode: one.drops for one in self._counters.sockets()}

    def sample(self, moved: Mapping[str, int], recent: RecentPackets) -> dict[str, int]:
        """``counts``, but read only while ``moved`` (counters of the link) change, so that an idle agent stays idle."""
        now = time.monotonic()
        if moved != self._before:
            self._before, self._busy_until = dict(moved), now + QUIET_AFTER
        if self._begun and self._since is None:
            self.begin()
        with self._lock:
            self._recent = recent
            if now <= self._busy_until:
                self._refresh()
            return self._counts

    def counts(self) -> dict[str, int]:
        """The counters by the values of DiscardCode, read now."""
        with self._lock:
            self._refresh()
            return self._counts

    def view(self) -> dict[str, Any]:
        """For ``status``: ``since`` in seconds since 1970 (None: the link has not been up), the counters, evidence."""
        origin = since_1970()
        with self._lock:
            self._refresh()
            counts = self._counts
            sockets = self._sockets() if any(n and "udp" in name for name, n in counts.items()) else []
            return {
                "since": None if self._since is None else origin + self._since,
                "problem": self._problem,
                "counters": counts,
                "misrouted": [{**asdict(one), "at": origin + at} for at, one in self._evidence.values()],
                "sockets": sockets,
            }

    def close(self) -> None:
        """Close files and socket.  Idempotent."""
        with self._lock:
            if self._counters is not None:
                self._counters.close()
                self._counters = None

    # --- with the lock held ----------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Read; where counters that point to a wrong route have grown, judge the packets of this moment."""
        if self._since is None:
            return
        before = self._counts
        if self._recent:
            with contextlib.suppress(ValueError):  # the window has just gone
                self._recent.mark()
        self._read()
        self._counts = after = self._named()
        if self._recent and any(after.get(code, 0) > before.get(code, 0) for code in _SUSPECT):
            with contextlib.suppress(OSError, ValueError):  # the interface, or the window, has just gone
                self._judge(self._recent)

    def _read(self) -> None:
        try:
            self._follow()
            if self._counters is not None:
                self._add(self._counters.read())
                self._problem = ""
        except (OSError, VnetcardError) as error:
            self._problem = f"the kernel's counters cannot be read: {error}"

    def _follow(self) -> None:
        """Open the counters where the interface is now."""
        place, index = self._interface.place, self._interface.index
        where = (ns.identity(place), index)
        if self._counters is not None and where == self._where:
            return
        fresh = KernelCounters(place, index)
        if self._counters is not None:  # what the old namespace has counted until now, and the new one before
            with contextlib.suppress(OSError):
                self._add(self._counters.tables())
            self._counters.close()
        self._last |= fresh.tables()
        self._old_sockets = {one.inode: one.drops for one in fresh.sockets()}
        self._counters, self._where = fresh, where

    def _add(self, raw: Mapping[str, int]) -> None:
        for name, n in raw.items():
            last = self._last.get(name, 0)
            self._grown[name] = self._grown.get(name, 0) + (n - last if n >= last else n)
        self._last |= raw

    def _named(self) -> dict[str, int]:
        """By code; without those that this kernel or this interface does not count."""
        grown = self._grown
        return {
            code.value: max(0, sum(sign * grown.get(name, 0) for sign, name in terms))
            for code, terms in _TERMS.items()
            if terms[0][1] in grown
        }

    def _judge(self, recent: RecentPackets) -> None:
        assert self._counters is not None
        queries, now = self._counters.queries, time.monotonic()
        link = queries.link(self._counters.index)
        if link.master:  # a bridge has the packets: most are for other machines
            return
        place = Place(self._counters.index, link.name, self._netns())
        seen: set[tuple[str, str]] = set()
        for fresh, head in recent.heads():
            packet = dissect(head)
            if packet is None or (packet.source, packet.destination) in seen:
                continue
            seen.add((packet.source, packet.destination))
            one = None
            with contextlib.suppress(OSError):  # a route that forbids it, or an interface that has just gone
                one = judge(queries, place, packet)
            if one and (fresh or one.code is CauseCode.NEIGHBOUR_FAILED):  # which the kernel finds out seconds later
                key = (one.code.value, one.source, one.destination)
                self._evidence.pop(key, None)  # the latest ones are kept
                self._evidence[key] = (now, one)
            if len(seen) >= JUDGED_MAX:
                break
        while len(self._evidence) > EVIDENCE_MAX:
            del self._evidence[next(iter(self._evidence))]

    def _netns(self) -> str | None:
        place = self._interface.place
        name = ns.name_of(place) if isinstance(place, int) else place
        return name if name and not name.startswith("/") else None

    def _sockets(self) -> list[dict[str, Any]]:
        """The sockets that have dropped datagrams since the link came up."""
        assert self._counters is not None
        with contextlib.suppress(OSError):
            found = [(one, one.drops - self._old_sockets.get(one.inode, 0)) for one in self._counters.sockets()]
            return [_view_socket(one, drops) for one, drops in found if drops > 0][:SOCKETS_MAX]
        return []


def _view_socket(one: DroppingSocket, drops: int) -> dict[str, Any]:
    return {"address": str(one.address), "port": one.port, "drops": drops}
