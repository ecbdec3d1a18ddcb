"""What was seen, by figure, way and round; medians, spreads and ratios of it.

A ratio is taken in each round and its median kept: what the machine did meanwhile was the same for both, or nearly so.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

OURS: Final = "vnetcard"


@dataclass(frozen=True, slots=True)
class Kind:
    """What figures of one kind are measured in, and which end of the scale is the good one."""

    unit: str
    more_is_better: bool
    digits: int


_KINDS: Final = (
    (r"idle cpu", Kind("% of a core", False, 2)),
    (r"ring .* bytes", Kind("GB/s", True, 2)),
    (r"ring .*", Kind("Mrecords/s", True, 3)),
    (r".* cpu", Kind("CPU s/GB", False, 3)),
    (r"tcp .*", Kind("Gbit/s", True, 2)),
    (r"udp .*", Kind("kpkt/s", True, 0)),
    (r"(ping|rr) .*", Kind("us", False, 1)),
    (r"start", Kind("ms", False, 0)),
    (r"memory", Kind("MiB", False, 1)),
)


def kind_of(figure: str) -> Kind:
    """The kind of the figure of that name; KeyError when there is none."""
    for pattern, kind in _KINDS:
        if re.fullmatch(pattern, figure):
            return kind
    raise KeyError(figure)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a figure over the rounds."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(slots=True)
class Results:
    """All values, and what was refused and why; a figure that was refused once has no value at all."""

    values: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    """By figure, way, and round."""
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """By way and load."""
    busy: list[float] = field(default_factory=list)
    """The share of the machine that others took, looked at before each way."""
    _loads: dict[str, str] = field(default_factory=dict)

    def add(self, way: str, load: str, number: int, figures: dict[str, float]) -> None:
        """What ``load`` showed on ``way`` in round ``number``."""
        for figure, value in figures.items():
            self._loads[figure] = load
            self.values.setdefault(figure, {}).setdefault(way, {})[number] = value

    def refuse(self, way: str, load: str, why: str) -> None:
        """A run of ``load`` on ``way`` was invalid: none of its figures counts, of whatever round."""
        self.refused.setdefault((way, load), why)

    def figures(self) -> list[str]:
        """All names, in the order in which they were seen first."""
        return list(self.values)

    def load_of(self, figure: str) -> str:
        """The load that gave ``figure``."""
        return self._loads[figure]

    def ways(self, figure: str) -> list[str]:
        """Those of which there is a value of ``figure``, refused or not."""
        return list(self.values.get(figure, {}))

    def of(self, figure: str, way: str) -> dict[int, float]:
        """The values of a figure by round; none when it was not measured, or was refused."""
        if (way, self._loads.get(figure, "")) in self.refused:
            return {}
        return self.values.get(figure, {}).get(way, {})

    def spread(self, figure: str, way: str) -> Spread | None:
        """Of the values that count, None without any."""
        values = self.of(figure, way)
        return Spread.of(list(values.values())) if values else None

    def ratio(self, figure: str, other: str, *, way: str = OURS) -> Spread | None:
        """``way`` by ``other``, of the rounds in which both have a value that is not 0; None without any."""
        mine, theirs = self.of(figure, way), self.of(figure, other)
        ratios = [mine[number] / theirs[number] for number in mine if theirs.get(number)]
        return Spread.of(ratios) if ratios else None
