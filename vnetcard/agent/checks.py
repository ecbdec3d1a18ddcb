"""What an agent checks from time to time while its link runs, and what it samples for its history."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from vnetcard.agent import collect
from vnetcard.agent.history import History
from vnetcard.agent.recent_packets import RecentPackets
from vnetcard.codes.link import LinkReason
from vnetcard.link.link import Link
from vnetcard.window import Window

INTERVAL: Final = 1.0
"""Seconds between two checks: rare, so that an idle agent uses no CPU."""
INTERVAL_AT_REST: Final = 4.0
"""The same while no counter changes; pumps that move again after a second end the agent's sleep (``hasten``)."""
REST_AFTER: Final = 10.0
"""Seconds without a change until then."""


class Discards(Protocol):
    """``KernelDiscards`` or ``PacketDiscards``."""

    def sample(self, moved: Mapping[str, int], recent: RecentPackets) -> dict[str, int]: ...


class Checks:
    """Is the window still shared with the peer, and which counters have changed?"""

    def __init__(self, window: Window, side: int, history: History, discards: Discards | None) -> None:
        self._window, self._side, self._history, self._discards = window, side, history, discards
        self._recent = RecentPackets(window, side)
        self._due = self._moved_at = 0.0

    def left(self) -> float:
        """Seconds until ``run`` is due."""
        return self._due - time.monotonic()

    def hasten(self) -> None:
        """Something has ended the rest: let ``run`` be due."""
        self._due = 0.0

    def run(self, link: Link, report: Callable[[str, LinkReason], None]) -> str | None:
        """Why the memory is no longer shared with the peer, or None; counts and reports a superblock written again."""
        lost = self._window.vanished()
        restored = getattr(self._window, "restored", None)  # a window of a plug-in may have none
        if restored is not None and (words := restored()):
            link.own.count("superblock_restored")
            report(words, LinkReason.SUPERBLOCK_OVERWRITTEN)
        if lost:
            return lost
        counts = collect.watched(self._window, self._side)
        discards = self._discards.sample(counts, self._recent) if self._discards else {}
        now = time.monotonic()
        if self._history.sample(counts | discards):
            self._moved_at = now
        self._due = now + (INTERVAL if now - self._moved_at < REST_AFTER else INTERVAL_AT_REST)
        return None
