"""What can happen to a PCI function: an IOMMU that refuses, a function reset, surprise removal, a power failure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.pci_function import assert_pings_cross, host_state, linked, wait_again
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.pci_lab import HOST_LIMIT, PciLab

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.hdl, pytest.mark.root, pytest.mark.slow),
    *(pytest.mark.campaign, pytest.mark.timeout(600)),
]


@pytest.fixture(scope="module")
def lab(host_image: Image, vfio_user_program: str) -> Iterator[PciLab]:
    with linked(host_image, vfio_user_program, "e2e-events") as found:
        yield found


def test_link_survives_an_iommu_that_refuses_every_access(lab: PciLab) -> None:
    lab.toggle_iommu()
    lab.simulator.event("refusing")
    lab.running_guest().run("ping", "-c", "1", "-W", "1", "10.10.10.5")
    until(lambda: host_state(lab) != "run", "the host's link notices", limit=HOST_LIMIT)
    lab.toggle_iommu()
    lab.simulator.event("serving")
    wait_again(lab)
    assert_pings_cross(lab, [56, 9000], 3)
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


def test_function_reset_under_the_agent_ends_with_a_new_link(lab: PciLab) -> None:
    """By the configuration, past vfio-pci, as another program with root could do it."""
    reset = (
        "import os\n"
        "fd = os.open('/sys/bus/pci/devices/0000:01:00.0/config', os.O_RDWR)\n"
        "at = os.pread(fd, 1, 0x34)[0]\n"
        "while os.pread(fd, 1, at)[0] != 0x10:\n"
        "    at = os.pread(fd, 1, at + 1)[0]\n"
        "saved = os.pread(fd, 64, 0)\n"
        "os.pwrite(fd, b'\\0\\x80', at + 8)\n"
        "os.pwrite(fd, saved[16:40], 16)\n"
        "os.pwrite(fd, saved[4:6], 4)\n"
    )
    done = lab.running_guest().run("python3", "-c", reset)
    assert done.status == 0, done
    wait_again(lab)
    assert_pings_cross(lab, [56, 9000], 3)
    assert_ledgers_balance(lab.lab, allow=OUTAGE)


def test_card_that_is_pulled_out_and_put_back_has_its_link_again(lab: PciLab) -> None:
    lab.toggle_card()
    lab.simulator.event("removed")
    until(lambda: host_state(lab) != "run", "the host's link notices", limit=HOST_LIMIT)
    lab.toggle_card()
    lab.simulator.event("returned")
    wait_again(lab)
    assert_pings_cross(lab, [56, 9000], 3)


def test_guest_that_loses_its_power_finds_the_same_function_again(lab: PciLab) -> None:
    guest = lab.running_guest()
    guest.close()
    lab.lab.wait_for(L.CARD, "peer-dead", limit=HOST_LIMIT)
    lab.boot()
    lab.bind()
    lab.start_host()
    lab.wait_up()
    assert_pings_cross(lab, [56, 9000], 3)
