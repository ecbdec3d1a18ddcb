"""A card with QEMU's ivshmem-doorbell in place of ivshmem-plain: the memory is an ivshmem server's."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger import assert_books_balance
from programs import VNETCARD, started
from restarts import OUTAGE

from vnetcard import layout as L
from vnetcard.bells import VECTORS
from vnetcard.lab import ADDRESSES
from vnetcard.pingsuite import Target, run_suite
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CardLab, Joint
from vnetcard.sim.guest.qemu import doorbell_bar

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]


@pytest.fixture
def lab(image: Image, tmp_path: Path) -> Iterator[CardLab]:
    server = tmp_path / "card0.sock"
    with started([*VNETCARD, "ivshmem-server", str(server)]) as serving:
        assert serving.stdout is not None and " ready: " in serving.stdout.readline()
        joint = Joint(f"ivshmem:{server}", None, doorbell_bar(server, VECTORS))
        with CardLab(image, "e2e-bell", joint=joint) as lab:
            lab.lab.start(L.HOST)
            lab.boot()
            yield lab


def assert_pings_cross(lab: CardLab) -> None:
    results = run_suite([Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST])], count=10)
    results += lab.ping_from_card(count=10, target=Target(ADDRESSES[L.HOST]))
    assert all(result.ok for result in results), "\n".join(str(result) for result in results if not result.ok)


def test_pings_cross_between_an_ivshmem_server_and_a_bar_that_is_polled(lab: CardLab) -> None:
    lab.start_card()
    lab.wait_up()
    assert_pings_cross(lab)
    assert_books_balance(lab.lab)
    lab.lab.stop(L.HOST, signal.SIGKILL)
    lab.lab.start(L.HOST)
    lab.wait_up()
    assert_pings_cross(lab)
    assert_books_balance(lab.lab, allow=OUTAGE)
