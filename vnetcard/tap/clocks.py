"""The offset between two computers' clocks, from the packets that cross the link, and a bound that is certain.

A record is seen by its consumer after its producer committed it.  So each record from the host to the card says that
the card's clock is ahead by *at most* the difference of the two stamps, and each one in the other direction that it is
ahead by *at least* so much.  The truth lies between; the middle is the estimate, half the gap the bound.  An old
record says less: the clocks may have drifted apart since.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from vnetcard.ring import layout as L

DRIFT: Final = 100e-6
"""Two crystals of 50 ppm."""
SLOT_NS: Final = 1_000_000_000
SLOTS: Final = 60


@dataclass(frozen=True, slots=True)
class Offset:
    """The card's CLOCK_MONOTONIC minus the host's, in nanoseconds, and how far off that can be; None: not known."""

    value: int
    bound: int | None

    def describe(self) -> str:
        """``+12.3 us, at most 4.5 us off``."""
        if self.bound is None:
            return "not known: packets have to cross in both directions"
        return f"{self.value / 1000:+.1f} us, at most {self.bound / 1000:.1f} us off"


class Clocks:
    """Collects what crossed; ``shared``: both sides are on one machine, and have one clock.

    ``latest`` is the host's time of the last record.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.latest = 0
        self._least: tuple[OrderedDict[int, tuple[int, int]], ...] = (OrderedDict(), OrderedDict())

    def add(self, direction: str, committed: int, seen: int) -> None:
        """A record of ``direction``, stamped by its producer and by its consumer, each by its own clock."""
        slots = self._least[L.DIRECTIONS.index(direction)]
        host_time = committed if direction == "h2c" else seen
        self.latest = max(self.latest, host_time)
        slot = host_time // SLOT_NS
        known = slots.get(slot)
        if known is None or seen - committed < known[0]:
            slots[slot] = seen - committed, host_time
        while len(slots) > SLOTS:
            slots.popitem(last=False)

    def _bound(self, number: int, now: int) -> int | None:
        """The tightest difference of a direction, at the host's time ``now``."""
        return min((least + int(abs(now - at) * DRIFT) for least, at in self._least[number].values()), default=None)

    def measured(self, now: int) -> Offset:
        """What the link says about the host's time ``now``."""
        most, least = self._bound(0, now), self._bound(1, now)
        if most is None or least is None:  # as if the fastest had taken no time: the others' lateness is right at least
            return Offset(most if most is not None else -(least or 0), None)
        return Offset((most - least) // 2, (most + least + 1) // 2)

    def offset(self, now: int) -> Offset:
        """What to reckon with: 0 where there is one clock, and the link does not say otherwise."""
        measured = self.measured(now)
        if self.shared and (measured.bound is None or abs(measured.value) <= measured.bound):
            return Offset(0, 0)
        return measured

    @property
    def known(self) -> bool:
        """Can times of one side be compared with those of the other?"""
        return self.shared or all(self._least)

    def describe(self) -> str:
        """How the clocks stand to each other, as far as it is known."""
        measured = self.measured(self.latest)
        if measured.bound is None and self.shared:
            return "both sides have one clock"
        if measured.bound is None:
            return f"by how much the card's is ahead is {measured.describe()}"
        known = ", and both sides have one clock" if self.shared else ""
        return f"the card's is ahead by {measured.describe()} (measured over the link{known})"
