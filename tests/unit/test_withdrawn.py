"""A refused packet takes an offload away only if the port refuses good ones too, and only until the next peer."""

from __future__ import annotations

import errno

import pytest

from tests.unit.link_harness import MTU, LinkHarness
from vnetcard import _core
from vnetcard.codes.link import LinkReason
from vnetcard.link.types import Offer
from vnetcard.link.withdrawn import PROBE_INTERVAL
from vnetcard.ring import layout as L

CSUM, TSO4, TSO6 = (L.FEATURES[name] for name in ("CSUM", "TSO4", "TSO6"))
ALL = CSUM | TSO4 | TSO6


class Port:
    """What the host's port refuses, and how often it was asked."""

    def __init__(self) -> None:
        self.refuses = self.asked = 0

    def probe(self, features: int) -> int:
        self.asked += 1
        return features & self.refuses


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def harness(port: Port, monkeypatch: pytest.MonkeyPatch) -> LinkHarness:
    harness = LinkHarness(Offer(ALL, MTU, probe=port.probe), Offer(ALL, MTU))
    harness.start()
    monkeypatch.setattr(harness.host.endpoints, "refused", lambda: (TSO4, errno.EINVAL))
    return harness


def refuse(harness: LinkHarness) -> None:
    """The kernel refuses a packet of the peer."""
    harness.host.endpoints._events |= _core.EVENT_REFUSED
    harness.host.tick()
    harness.go_on(1.5)


def agreed(harness: LinkHarness) -> int:
    assert harness.host.running and harness.card.running
    agreement = harness.host.alive.agreement
    assert agreement is not None and agreement == harness.card.alive.agreement
    return agreement.features


def test_bad_packets_of_the_peer_lower_nothing(harness: LinkHarness, port: Port) -> None:
    epoch = harness.host.alive.epoch
    for _ in range(50):
        harness.host.endpoints._events |= _core.EVENT_REFUSED
        harness.go_on(PROBE_INTERVAL / 10)
    assert agreed(harness) == ALL and harness.host.alive.epoch == epoch
    assert 0 < port.asked < 50
    assert harness.host.counters()["offload_refused"] == 0


def test_offload_that_the_port_refuses_is_withdrawn_until_the_next_peer(harness: LinkHarness, port: Port) -> None:
    port.refuses = TSO4
    refuse(harness)
    assert agreed(harness) == ALL & ~TSO4
    assert LinkReason.OFFLOAD_WITHDRAWN in harness.host.journal.codes
    assert harness.host.counters()["offload_refused"] == 1
    assert "EINVAL" in harness.host.alive.offer.refusals["TSO4"]

    harness.card.crash()
    harness.card.start()
    harness.go_on(1.5)
    assert agreed(harness) == ALL & ~TSO4, "the port refuses it still"

    port.refuses = 0
    harness.card.crash()
    harness.card.start()
    harness.go_on(1.5)
    assert agreed(harness) == ALL
    assert "TSO4" not in harness.host.alive.offer.refusals
