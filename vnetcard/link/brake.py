"""What bounds how often a peer can make a link restart, whatever it does: no thread, no clock.

The reasons for each number are in docs/adr/0014-brakes.md.
"""

from __future__ import annotations

from collections import deque
from typing import Final

CARRIER_CHANGES: Final = 4
"""Most changes of the carrier in ``CARRIER_SPAN`` seconds."""
CARRIER_SPAN: Final = 1.0
RESTARTS: Final = 8
"""Most epochs of the peer that are answered in ``RESTART_SPAN`` seconds."""
RESTART_SPAN: Final = 2.0
PROOF: Final = 1.0
"""Seconds for which a peer with a new epoch has to behave before a brake is released early."""
PROOF_BEATS: Final = 3
"""Least heartbeats of such a peer in that time."""


class BackOff:
    """Delays between tries: short at first and after a quiet time, otherwise doubled each time."""

    FIRST, LONGEST, QUIET = 0.1, 5.0, 10.0
    """Seconds."""

    def __init__(self) -> None:
        self._length = self.FIRST
        self._asked_at = -self.QUIET

    def next(self, now: float) -> float:
        """Seconds to wait from ``now``."""
        quiet = now - self._asked_at > self._length + self.QUIET
        self._length = self.FIRST if quiet else min(2 * self._length, self.LONGEST)
        self._asked_at = now
        return self._length


class Brake:
    """Pauses after what a correct peer never does, and bounds of what a correct peer does rarely.

    All times are seconds of one clock that does not go backwards.
    """

    def __init__(self) -> None:
        self._back_off = BackOff()
        self._until: float | None = None
        self._rejected = self._epoch = self._beat = self._beats = 0
        self._steady_at = 0.0
        self._changes: deque[float] = deque(maxlen=CARRIER_CHANGES - 1)
        self._answers: deque[float] = deque(maxlen=RESTARTS)

    # --- pauses --------------------------------------------------------------------------------------

    def apply(self, now: float, epoch: int) -> float:
        """Pause because of what the peer with ``epoch`` did; returns the seconds, unless it is released earlier."""
        pause = self._back_off.next(now)
        self._until = now + pause
        self._rejected = self._epoch = epoch
        self._steady_at, self._beats = now, 0
        self._answers.clear()
        return pause

    def holds(self, now: float, epoch: int, beat: int) -> bool:
        """Whether the pause lasts; ``epoch`` and ``beat`` (heartbeat) are what the peer publishes now.

        It ends early for another peer that behaves: one that has kept an epoch which is not that of the peer that
        was rejected for ``PROOF`` seconds, with heartbeats.
        """
        if self._until is None:
            return False
        if epoch != self._epoch:
            self._epoch, self._steady_at, self._beats = epoch, now, 0
        elif beat != self._beat:
            self._beats += 1
        self._beat = beat
        proven = now - self._steady_at >= PROOF and self._beats >= PROOF_BEATS
        if now >= self._until or (proven and epoch not in (0, self._rejected)):
            self._until = None
        return self._until is not None

    def left(self, now: float) -> float:
        """Seconds until the pause ends at the latest; 0 without one."""
        return max(0.0, self._until - now) if self._until is not None else 0.0

    # --- bounds --------------------------------------------------------------------------------------

    def answered(self, now: float) -> bool:
        """Count an answer to a new epoch of the peer; True: these are too many, so ``apply`` is due."""
        too_many = len(self._answers) == RESTARTS and now - self._answers[0] < RESTART_SPAN
        self._answers.append(now)
        return too_many

    def may_raise(self, now: float) -> bool:
        """Whether the carrier may rise: that, and the fall which may follow at once, stay within the bound."""
        recent = sum(now - at < CARRIER_SPAN for at in self._changes)
        return recent <= CARRIER_CHANGES - 2

    def carrier_changed(self, now: float) -> None:
        """Count a change of the carrier."""
        self._changes.append(now)
