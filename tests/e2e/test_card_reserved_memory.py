"""A card whose window lies in memory that its device tree reserves: ``mem:NAME``, through the kernel's own /dev/mem."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.card_pings import assert_pings_cross
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CardLab
from vnetcard.sim.guest.reserved import NAME, ReservedMemory

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardLab]:
    need("dtc")
    places = ReservedMemory(tmp_path_factory.mktemp("reserved")).places()
    with CardLab(image, "e2e-mem", log=sys.stderr, places=places) as lab:
        lab.lab.start(L.HOST)
        lab.boot()
        lab.start_card()
        lab.wait_up()
        yield lab


def test_kernel_keeps_away_from_the_reserved_memory(lab: CardLab) -> None:
    tree = Path("/proc/device-tree/reserved-memory")
    listing = lab.running_guest().run("sh", "-c", f"ls {tree} {tree}/{NAME}@*").stdout
    assert "no-map" in listing
    assert "System RAM" not in lab.running_guest().run("sh", "-c", "grep -i 4f000000 /proc/iomem; true").stdout


def test_pings_cross_the_reserved_memory(lab: CardLab) -> None:
    assert_pings_cross(lab, count=3, sizes=[56, 1472, 2048, 65507])
    assert_ledgers_balance(lab.lab)
