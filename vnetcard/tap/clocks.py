"""The offset between two computers' clocks, with a certain bound, from the records that cross the link.

A consumer sees a record after its producer has committed it.  Each record from the host to the card therefore gives
an upper limit of how far the card's clock is ahead: the difference of the two stamps; each record in the other
direction gives a lower limit.  The estimate is the middle, the bound half the distance.  The limits of an old record
are widened by the drift that is possible since.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from vnetcard.ring import layout as L

DRIFT: Final = 100e-6
"""Relative drift of two clocks: two crystals of 50 ppm each."""
SLOT_NS: Final = 1_000_000_000
SLOTS: Final = 60
"""The tightest record of each second is kept, for a minute."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The card's CLOCK_MONOTONIC minus the host's, in nanoseconds, with the largest possible error; None: not known."""

    value: int
    bound: int | None

    def describe(self) -> str:
        """``+12.3 us, at most 4.5 us off``, or that it is not known."""
        if self.bound is None:
            return "not known: it takes packets in both directions"
        return f"{self.value / 1000:+.1f} us, at most {self.bound / 1000:.1f} us off"


class Clocks:
    """The stamps of records; ``shared``: both sides run on one machine and have one clock.

    ``latest`` is the host's time of the last record, in nanoseconds.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.latest = 0
        self._least: tuple[OrderedDict[int, tuple[int, int]], ...] = (OrderedDict(), OrderedDict())

    def add(self, direction: str, committed: int, seen: int) -> None:
        """Add a record of ``direction`` with the stamps of its producer and of its consumer, each by its own clock."""
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
        """The offset at the host's time ``now``, as the records give it."""
        most, least = self._bound(0, now), self._bound(1, now)
        if most is None or least is None:  # as if the fastest record had taken no time
            return Offset(most if most is not None else -(least or 0), None)
        return Offset((most - least) // 2, (most + least + 1) // 2)

    def offset(self, now: int) -> Offset:
        """The offset to use: 0 where there is one clock, unless the records contradict that."""
        measured = self.measured(now)
        if self.shared and (measured.bound is None or abs(measured.value) <= measured.bound):
            return Offset(0, 0)
        return measured

    @property
    def known(self) -> bool:
        """Whether times of one side can be compared with times of the other."""
        return self.shared or all(self._least)

    def describe(self) -> str:
        """The offset, and how it is known, for people."""
        measured = self.measured(self.latest)
        if measured.bound is None and self.shared:
            return "both sides use one clock"
        if measured.bound is None:
            return f"the offset of the card's clock is {measured.describe()}"
        known = "; both sides use one clock" if self.shared else ""
        return f"the card's clock is ahead by {measured.describe()} (measured over the link{known})"
