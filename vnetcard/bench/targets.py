"""The performance targets: a figure, the contender that it is compared with, and the limit of the ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vnetcard.bench.figures import OURS, Results, kind_of
from vnetcard.bench.iperf import USUAL


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


def _tcp(congestion: str) -> tuple[Target, ...]:
    """The targets of the loads with TCP, with one congestion control."""
    tcp = f"tcp 1500 {congestion}"
    return (
        Target(tcp, "splice", 1.0),
        Target(f"{tcp} cpu", "splice", 1.1),
        Target(f"tcp 1500 x8 {congestion}", "splice", 0.95),
        Target(f"tcp 1500 both {congestion}", "splice", 0.95),
        Target(f"tcp 1500 x8 both {congestion}", "splice", 0.95),
        Target(f"ping under load {congestion} p99", "splice", 1.5),
        Target(f"rr under load {congestion} p50", "splice", 1.3),
        Target(f"rr under load {congestion} p99", "splice", 1.3),
        Target(tcp, "vnetcard-1q", 0.95),
        Target(tcp, "veth", 0.75),
        Target(tcp, "testpmd", 5.0),
        Target(tcp, "socat", 3.0),
        Target(tcp, "openvpn", 5.0),
        Target(tcp, "veth", 0.6, "packet"),
        Target(tcp, "veth", 0.75, "macvtap"),
        Target(tcp, "vnetcard", 0.95, "tap"),
        Target(tcp, "vnetcard", 0.8, "bar"),
    )


TARGETS: Final = (
    *(target for congestion in USUAL for target in _tcp(congestion)),
    Target("udp 64", "splice", 1.0),
    Target("udp 1400", "splice", 1.0),
    Target("udp 64", "splice", 2.5, "vnetcard-gro"),
    Target("udp 1400", "splice", 2.0, "vnetcard-gro"),
    Target("ping p50", "splice", 1.1),
    Target("ping p50", "vnetcard", 1.5, "bar"),
    Target("idle cpu", None, 0.1),
    Target("memory", None, 20.0),
    Target("start", None, 100.0),
    Target("tcp into lwip", None, 0.5),
    Target("memif 64", "testpmd", 0.8),
    Target("memif 64", "testpmd-x2", 0.8),
    Target("ring 64 threads", "rte_ring", 1.0),
    Target("ring 65536 threads", "memcpy", 0.8),
)
"""Of two agents together where it says ``memory`` and ``idle cpu``."""
