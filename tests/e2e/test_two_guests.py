"""Two emulated machines, an x86-64 host and an ARM64 card, each with a real PCI BAR: both agents use ``pci:auto``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.pair import GuestPair

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow),
    *(pytest.mark.campaign, pytest.mark.timeout(600)),
]

SIZES = [56, 1472, 2048, 9000]
"""Bytes; larger ones take an emulated processor too long on a busy machine. ``vnetcard demo`` sends them too."""


@pytest.fixture(scope="module")
def pair(host_image: Image, image: Image) -> Iterator[GuestPair]:
    with GuestPair([host_image, image], "e2e-two") as pair:
        pair.boot()
        pair.start()
        pair.wait_up()
        yield pair


def test_pings_of_every_size_are_answered_in_both_directions(pair: GuestPair) -> None:
    assert "x86_64" in pair.guests[L.HOST].ready and "aarch64" in pair.guests[L.CARD].ready
    for side in (L.HOST, L.CARD):
        results = pair.ping_from(side, SIZES, count=5)
        assert [(result.size, result.received) for result in results] == [(size, 5) for size in SIZES]
    for row in pair.status(L.HOST)["balance"]:
        assert row["sent"] == row["received"] + row["in_flight"], row
        assert row["sent"] >= 2 * 5 * len(SIZES)


def test_card_that_loses_its_power_comes_back(pair: GuestPair) -> None:
    pair.kill(L.CARD)
    pair.boot(L.CARD)
    pair.start(L.CARD)
    pair.wait_up()
    results = pair.ping_from(L.HOST, [56, 2048], count=3)
    assert [result.received for result in results] == [3, 3]
