"""How long the peer's heartbeat has been still."""

from __future__ import annotations

from typing import Final

HEARTBEAT_EVERY: Final = 0.1
"""Seconds between two heartbeats."""
HEARTBEAT_LIMIT: Final = 1.0
"""Seconds without a heartbeat after which the peer counts as dead."""
LONGEST_STEP: Final = 0.25
"""Seconds of a gap between two ticks that count as the peer's silence: after a longer gap this process itself was
stopped, or its machine paused, and the gap says nothing about the peer."""


class Pulse:
    """The peer's heartbeat as it was seen last, and the seconds since it moved."""

    def __init__(self) -> None:
        self._beat = 0
        self._silence = self._ticked_at = self._step = 0.0

    def tick(self, now: float) -> None:
        """Note the time of a tick, which precedes the calls below."""
        self._step = min(now - self._ticked_at, LONGEST_STEP)
        self._ticked_at = now

    def moved(self, beat: int) -> bool:
        """Whether ``beat``, which the peer publishes now, is another one than at the last ``accept``."""
        if beat != self._beat:
            return True
        self._silence += self._step
        return False

    def accept(self, beat: int) -> None:
        """The peer lives."""
        self._beat, self._silence = beat, 0.0

    def rested(self, now: float, beat: int, still: float) -> None:
        """Until ``now`` the C core has watched: the peer publishes ``beat``, for ``still`` seconds of that already."""
        self._silence = still if beat != self._beat else self._silence + still
        self._ticked_at, self._beat = now, beat

    @property
    def lively(self) -> bool:
        """Whether the heartbeat has moved a short time ago."""
        return self._silence < HEARTBEAT_LIMIT / 4

    @property
    def dead(self) -> bool:
        """Whether the heartbeat has been still for ``HEARTBEAT_LIMIT``."""
        return self._silence >= HEARTBEAT_LIMIT
