"""The values that were measured, by figure, contender and round; their medians, spreads and ratios.

A ratio is computed in each round and its median kept: within a round, the machine's state was about the same for both.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

OURS: Final = "vnetcard"


@dataclass(frozen=True, slots=True)
class Kind:
    """The unit of figures of one kind, and whether more is better."""

    unit: str
    more_is_better: bool
    digits: int


_KINDS: Final = (
    (r"idle cpu", Kind("% of a core", False, 2)),
    (r"ring .* bytes", Kind("GB/s", True, 2)),
    (r"ring .*", Kind("Mrecords/s", True, 3)),
    (r".* cpu", Kind("CPU s/GB", False, 3)),
    (r"tcp .*", Kind("Gbit/s", True, 2)),
    (r"(udp|memif) .*", Kind("kpkt/s", True, 0)),
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
    """The median and the extremes of a figure over the rounds."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of ``values``, of which there is at least one."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(slots=True)
class Results:
    """All values, and what was refused and why; a figure that was refused in one round has no value at all."""

    values: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    """By figure, contender and round."""
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """By contender and load."""
    busy: list[float] = field(default_factory=list)
    """The share of the machine that other programs took, measured before each contender."""
    profiles: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    """The stages (``profile.py``) by load, with its congestion control, and contender."""
    _loads: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, load: str, number: int, figures: dict[str, float]) -> None:
        """Add what ``load`` measured on ``contender`` in round ``number``."""
        for figure, value in figures.items():
            self._loads[figure] = load
            self.values.setdefault(figure, {}).setdefault(contender, {})[number] = value

    def refuse(self, contender: str, load: str, why: str) -> None:
        """Record that a run of ``load`` on ``contender`` was invalid: its figures of no round count."""
        self.refused.setdefault((contender, load), why)

    def figures(self) -> list[str]:
        """The names of all figures, in the order in which they were first added."""
        return list(self.values)

    def load_of(self, figure: str) -> str:
        """The load that measured ``figure``."""
        return self._loads[figure]

    def contenders(self, figure: str) -> list[str]:
        """The contenders that have a value of ``figure``, refused or not."""
        return list(self.values.get(figure, {}))

    def of(self, figure: str, contender: str) -> dict[int, float]:
        """The values of a figure by round; empty when it was not measured, or was refused."""
        if (contender, self._loads.get(figure, "")) in self.refused:
            return {}
        return self.values.get(figure, {}).get(contender, {})

    def spread(self, figure: str, contender: str) -> Spread | None:
        """The spread of the values that count; None without any."""
        values = self.of(figure, contender)
        return Spread.of(list(values.values())) if values else None

    def ratio(self, figure: str, other: str, *, contender: str = OURS) -> Spread | None:
        """``contender`` divided by ``other``, over the rounds in which ``other`` is not 0; None without any."""
        mine, theirs = self.of(figure, contender), self.of(figure, other)
        ratios = [mine[number] / theirs[number] for number in mine if theirs.get(number)]
        return Spread.of(ratios) if ratios else None
