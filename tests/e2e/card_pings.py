"""Pings between this machine and the guest."""

from __future__ import annotations

from collections.abc import Sequence

from tests.harness.pings import run_pings
from vnetcard.lab.lab import ADDRESSES
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.lab import CardLab


def assert_pings_cross(lab: CardLab, *, count: int = 10, sizes: Sequence[int] = DEFAULT_SIZES) -> list[PingResult]:
    """Ping in both directions; every ping must be answered."""
    host = Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST], label="host to card")
    card = Target(ADDRESSES[L.HOST], label="card to host")
    results = run_pings([host], count=count, sizes=sizes)
    results += lab.ping_from_card(count=count, target=card, sizes=sizes)
    assert all(result.ok for result in results), "\n".join(str(result) for result in results if not result.ok)
    return results
