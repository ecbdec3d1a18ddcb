"""The performance targets: a figure, the contender that it is compared with, and the limit of the ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vnetcard.bench.figures import OURS, Results, kind_of


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for the ratio of ``contender``'s figure to that of ``against``, or for it itself where that is None."""

    figure: str
    against: str | None
    limit: float
    contender: str = OURS

    @property
    def text(self) -> str:
        """The target in words."""
        kind = kind_of(self.figure)
        bound = "at least" if kind.more_is_better else "at most"
        who = "" if self.contender == OURS else f" of {self.contender}"
        if self.against is None:
            return f"{self.figure}{who}: {bound} {self.limit:g} {kind.unit}"
        return f"{self.figure}{who} against {self.against}: {bound} {self.limit:g}"

    def seen(self, results: Results) -> float | None:
        """The median that the limit applies to; None when it was not measured."""
        if self.against is None:
            spread = results.spread(self.figure, self.contender)
        else:
            spread = results.ratio(self.figure, self.against, contender=self.contender)
        return spread.median if spread else None

    def reached(self, seen: float) -> bool:
        """Whether ``seen`` is within the limit."""
        return seen >= self.limit if kind_of(self.figure).more_is_better else seen <= self.limit


TARGETS: Final = (
    Target("tcp 1500", "splice", 1.0),
    Target("tcp 1500", "veth", 0.75),
    Target("tcp 1500", "testpmd", 5.0),
    Target("tcp 1500", "socat", 3.0),
    Target("tcp 1500", "openvpn", 5.0),
    Target("udp 64", "splice", 1.0),
    Target("ping p50", "splice", 1.2),
    Target("ping under load p99", "splice", 1.5),
    Target("tcp 1500 cpu", "splice", 1.15),
    Target("idle cpu", None, 0.5),
    Target("start", None, 300.0),
    Target("tcp 1500", "veth", 0.6, "packet"),
    Target("tcp 1500", "veth", 0.75, "macvtap"),
    Target("tcp 1500", "vnetcard", 0.95, "tap"),
    Target("tcp into lwip", None, 0.5),
    Target("memif 64", "testpmd", 0.8),
    Target("memif 64", "testpmd-x2", 0.8),
    Target("ring 64 threads", "rte_ring", 1.0),
    Target("ring 65536 threads", "memcpy", 0.8),
)
