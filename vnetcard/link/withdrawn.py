"""Features that this side no longer offers because its kernel refused packets with them, and when it does so again.

A packet that was refused may be the peer's fault: the rx pump drops those whose headers are not whole, and the port is
tested with a good packet before a feature is withdrawn.  A new peer is offered everything that the port accepts then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vnetcard.link.types import Offer
from vnetcard.ring import layout as L

PROBE_INTERVAL: Final = 1.0
"""Least seconds between two tests of the port, however many packets are refused."""


class Withdrawn:
    """Changes ``offer`` by what was withdrawn."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._probe_at = 0.0

    def add(self, features: int, why: str) -> Sequence[str]:
        """Stop offering ``features`` because of ``why``; returns the names of those that were offered."""
        gone = self._offer.features & features
        self._offer.withdrawn |= gone
        self._offer.features &= ~gone
        names = L.feature_names(gone)
        self._offer.refusals.update(dict.fromkeys(names, why))
        return names

    def confirmed(self, features: int, now: float) -> int:
        """Those of ``features``, of which a packet was refused, that the port refuses indeed."""
        if self._offer.probe is None:
            return features
        if now < self._probe_at:
            return 0
        self._probe_at = now + PROBE_INTERVAL
        return self._offer.probe(features & self._offer.features)

    def offer_again(self) -> bool:
        """There is a new peer: offer what was withdrawn, as far as the port accepts it now; True if that is any."""
        lost = self._offer.withdrawn
        good = lost & ~self._offer.probe(lost) if lost and self._offer.probe else 0
        self._offer.withdrawn &= ~good
        self._offer.features |= good
        for name in L.feature_names(good):
            self._offer.refusals.pop(name, None)
        return good != 0
