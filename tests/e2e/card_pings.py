"""Pings between this machine and the guest."""

from __future__ import annotations

from collections.abc import Sequence

from tests.harness.pings import run_pings
from vnetcard.lab.lab import ADDRESSES
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.lab import CardLab

TRIES = 5


def assert_pings_cross(lab: CardLab, *, count: int = 10, sizes: Sequence[int] = DEFAULT_SIZES) -> list[PingResult]:
    """Ping in both directions; every ping must be answered.

    On a busy machine a guest may get no CPU for so long that the link is lost and comes back (``peer_dead``).  Pings of
    that time have no answer, so all are sent again.
    """
    host = Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST], label="host to card")
    card = Target(ADDRESSES[L.HOST], label="card to host")
    for _ in range(TRIES):
        before = outages(lab)
        results = run_pings([host], count=count, sizes=sizes)
        results += lab.ping_from_card(count=count, target=card, sizes=sizes)
        if all(result.ok for result in results) or outages(lab) == before:
            break
    assert all(result.ok for result in results), "\n".join(str(result) for result in results if not result.ok)
    return results


def outages(lab: CardLab) -> int:
    """How often either side has lost the other's heartbeat."""
    return sum(side["link"]["peer_dead"] for side in lab.lab.status(L.HOST)["sides"])
