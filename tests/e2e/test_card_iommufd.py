"""``vfio:`` where the kernel makes no groups: the function's own device and iommufd, in an x86-64 guest with an IOMMU.

Runs where ``VNETCARD_IOMMUFD_KERNEL`` names a kernel with CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV and without
CONFIG_VFIO_GROUP (tests/README.md): Debian's kernels have none of these options.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.card_pings import assert_pings_cross
from tests.harness.ivshmem import ivshmem_server
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import until
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CARD_LIMIT, CardLab, WindowPlaces
from vnetcard.sim.guest.qemu import X86_IOMMU, X86_IOMMU_WORDS, doorbell_bar
from vnetcard.window.interrupts import VECTORS
from vnetcard.window.ivshmem_protocol import Client

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.slow]

BAR = "vfio:auto/2"
TAKE = """
for device in /sys/bus/pci/devices/*; do
    [ $(cat $device/device) = 0x1110 ] || continue
    echo vfio-pci >$device/driver_override
    echo ${device##*/} >/sys/bus/pci/drivers_probe
    basename $(readlink $device/driver)
done
ls /dev/vfio
"""
"""Bind the card to vfio-pci; print its driver and the folder of VFIO's nodes."""
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with ivshmem_server(tmp_path_factory.mktemp("iommufd")) as socket:
        yield socket


@pytest.fixture(scope="module")
def lab(host_image: Image, server: Path) -> Iterator[CardLab]:
    """A guest whose function vfio-pci has, and no agent yet."""
    image = dataclasses.replace(host_image, kernel=Path(os.environ["VNETCARD_IOMMUFD_KERNEL"]))
    places = WindowPlaces(f"ivshmem:{server}", None, (*X86_IOMMU, *doorbell_bar(server, VECTORS)))
    with CardLab(image, "e2e-iommufd", places=places) as lab:
        guest = lab.boot(words=X86_IOMMU_WORDS)
        done = guest.run("sh", "-c", TAKE)
        assert (done.status, done.stdout.split()) == (0, ["vfio-pci", "devices"]), f"{done}\n{guest.console()}"
        yield lab


def test_engine_is_given_memory_by_iommufd_and_driven(lab: CardLab, server: Path) -> None:
    """The page is the shared memory, in which the test puts what an engine's registers say."""
    page = {"id": R.ENGINE_ID, "version": L.VERSION << 16 | R.ENGINE_VERSION, "caps": L.CARD << 24 | 63 << 16 | 64}
    configured = {"window_base_hi": 1, "window_base_lo": 0, "window_log2": 20, "control": 3}
    guest = lab.running_guest()
    with contextlib.closing(Client(server)) as board:

        def registers() -> dict[str, int]:
            return {each.name: int.from_bytes(os.pread(board.memory, 4, each.offset), "little") for each in R.REGISTERS}

        os.pwrite(board.memory, bytes(R.PAGE_BYTES), 0)
        for name, value in page.items():
            os.pwrite(board.memory, value.to_bytes(4, "little"), R.offset(name))
        url = f"{BAR}?engine+1M"
        agent = guest.start("vnetcard-fpga", "--window", url, "--name", "tun8", "--address", "none")
        guest.wait_for_output(agent, " ready: ", limit=CARD_LIMIT)
        until(lambda: configured.items() <= registers().items(), "the engine is configured and enabled")
        pinned = guest.run("sh", "-c", "grep -h VmPin /proc/[0-9]*/status").stdout.split()
        assert str(MIB >> 10) in pinned, "the kernel has pinned no memory for the function"
        guest.signal(agent)
        assert guest.wait(agent).status == 0
        os.pwrite(board.memory, bytes(R.PAGE_BYTES), 0)


def test_pings_of_every_size_cross_with_interrupts(lab: CardLab) -> None:
    lab.lab.start(L.HOST, "--wait", "sleep")
    lab.start_card("--window", BAR, "--wait", "sleep")
    lab.wait_up()
    guest = lab.running_guest()
    (card,) = json.loads(guest.run("vnetcard", "status", "--window", BAR, "--json").stdout)["agents"]
    assert card["link"]["irq"] == "on"
    assert_pings_cross(lab, count=5, sizes=[56, 1472, 9000])
    assert_ledgers_balance(lab.lab)
    assert "vfio-msix" in guest.run("cat", "/proc/interrupts").stdout


def test_function_that_another_process_has_is_refused_in_one_line(lab: CardLab) -> None:
    done = lab.running_guest().run("vnetcard-fpga", "--window", BAR, "--name", "tun7")
    assert done.status == 2 and done.stderr.count("\n") == 1, done
    assert "another process has it" in done.stderr
