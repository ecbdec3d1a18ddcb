"""What keeps an agent alive while a device lets it wait: see ``vnetcard.window.contract.Pulse``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from vnetcard.errors import WindowUnavailable
from vnetcard.link.link import Link

STOP_GRACE: Final = 1.0
"""Seconds after the signal for which a device may still let the agent wait."""


class Pulse:
    """Calls ``beat`` and moves the link's heartbeat; ends the wait soon after ``stop``."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stop_at: float | None = None
        self.link: Link | None = None

    def stop(self) -> None:
        """The agent is to stop; may be called by a signal handler, and again."""
        self._stop_at = self._stop_at or time.monotonic()

    def __call__(self) -> None:
        """Raises WindowUnavailable ``STOP_GRACE`` seconds after ``stop``."""
        self._beat_and_stop(STOP_GRACE)

    def at_once(self) -> None:
        """Raises WindowUnavailable after ``stop``."""
        self._beat_and_stop(0.0)

    def _beat_and_stop(self, grace: float) -> None:
        self._beat()
        if self.link is not None:
            self.link.own.beat()
        if self._stop_at is not None and time.monotonic() - self._stop_at >= grace:
            raise WindowUnavailable("the agent was told to stop")
