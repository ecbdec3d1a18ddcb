"""What a running side writes again when another program has overwritten it in the window.

The handshake notices another epoch or answer by itself; this is for the other words of the side block and for the
counters, which change nothing until somebody reads them.
"""

from __future__ import annotations

from typing import Final

from vnetcard.codes.link import LinkReason
from vnetcard.link.endpoints import Endpoints
from vnetcard.link.types import Listener
from vnetcard.ring.sideblock import SideBlock

INTERVAL: Final = 1.0
"""Seconds between two checks: a few dozen reads of the window, and nothing for the pumps."""


class OwnWords:
    """This side's words in the window, checked at most every ``INTERVAL`` seconds."""

    def __init__(self, own: SideBlock, endpoints: Endpoints, listener: Listener) -> None:
        self._own, self._endpoints, self._listener = own, endpoints, listener
        self._due = 0.0

    def check(self, now: float) -> None:
        """Restore what was overwritten, count and report it."""
        if now < self._due:
            return
        self._due = now + INTERVAL
        words = self._own.restore()
        if words:
            self._own.count("viol_side_block")
            self._report(f"another program overwrote {', '.join(words)} of this side's block: written again")
        restored, restarted = self._endpoints.check_counters()
        if restored:
            self._own.count("ledger_restored", restored)
            self._report("another program overwrote this side's counters in the window: written again")
        if restarted:
            self._own.count("ledger_restarted", restarted)
            self._report(
                f"another program overwrote the counters that this side had left in the window: {restarted} of its "
                "ends count from 0 again"
            )

    def _report(self, message: str) -> None:
        self._listener.report(message, LinkReason.COUNTERS_OVERWRITTEN)
