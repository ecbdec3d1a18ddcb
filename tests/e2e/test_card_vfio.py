"""A card with interrupts: QEMU's ivshmem-doorbell, polled by sysfs, and taken by vfio-pci behind the guest's IOMMU.

The host's agent and QEMU meet at `vnetcard ivshmem-server`.  By VFIO a pump that sleeps in the guest is woken by an
MSI-X that becomes an eventfd, one that sleeps on the host by a write into a register of the guest's BAR.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.card_pings import assert_pings_cross
from tests.e2e.card_streams import stream, wait_for_load
from tests.harness.ivshmem import ivshmem_server
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CARD_LIMIT, CardLab, WindowPlaces
from vnetcard.sim.guest.qemu import IOMMU, Guest, doorbell_bar
from vnetcard.window.interrupts import VECTORS
from vnetcard.window.ivshmem_protocol import Client

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]

MIB = 1 << 20
BAR = "vfio:auto/2"
ASLEEP = ("--wait", "sleep")
"""A pump that sleeps immediately; without a wake-up it polls after 100 ms."""
SLEEP_MS = 100.0
TAKE = """
for module in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci; do
    file=/lib/modules/$module.ko
    [ ! -e $file ] || grep -q "^$(echo $module | tr - _) " /proc/modules || insmod $file || exit
done
for device in /sys/bus/pci/devices/*; do
    [ $(cat $device/device) = 0x1110 ] || continue
    echo vfio-pci >$device/driver_override
    echo ${device##*/} >/sys/bus/pci/drivers_probe
    basename $(readlink $device/driver)
done
"""
"""Bind the card to vfio-pci, and print its driver."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with ivshmem_server(tmp_path_factory.mktemp("vfio")) as socket:
        yield socket


@pytest.fixture(scope="module")
def lab(image: Image, server: Path) -> Iterator[CardLab]:
    """A guest, and no agent yet."""
    places = WindowPlaces(f"ivshmem:{server}", None, doorbell_bar(server, VECTORS))
    with CardLab(image, "e2e-vfio", places=places) as lab:
        lab.boot(options=IOMMU)
        yield lab


@pytest.fixture(scope="module")
def linked(lab: CardLab) -> Iterator[CardLab]:
    """Both agents, by VFIO, with their link up before and after each test."""
    join(lab)
    yield lab
    stop_both(lab)


def join(lab: CardLab) -> None:
    take(lab)
    lab.lab.start(L.HOST, "--persist", *ASLEEP)
    lab.start_card("--window", BAR, *ASLEEP)
    lab.wait_up()


def take(lab: CardLab) -> None:
    done = lab.running_guest().run("sh", "-c", TAKE)
    assert (done.status, done.stdout) == (0, "vfio-pci\n"), done


def stop_both(lab: CardLab) -> None:
    assert lab.agent is not None
    guest = lab.running_guest()
    guest.signal(lab.agent)
    assert guest.wait(lab.agent).status == 0
    assert lab.lab.stop(L.HOST) == 0


@pytest.mark.campaign
def test_bar_of_an_ivshmem_server_that_is_polled(lab: CardLab) -> None:
    lab.lab.start(L.HOST)
    lab.start_card()
    lab.wait_up()
    assert lab.lab.status(L.HOST)["link"]["irq"] != "on"
    assert_pings_cross(lab, count=3, sizes=[56, 9000])
    assert_ledgers_balance(lab.lab)
    stop_both(lab)


CONFIGURED = {"window_base_hi": 1, "window_base_lo": 0, "window_log2": 20, "control": 3}
"""Registers of the engine once an agent has enabled it."""


def registers(board: Client) -> dict[str, int]:
    """What was written into the engine's page."""
    return {each.name: int.from_bytes(os.pread(board.memory, 4, each.offset), "little") for each in R.REGISTERS}


def test_engine_behind_the_iommu_is_given_memory_and_driven(lab: CardLab, server: Path) -> None:
    """The page is the shared memory, in which the test puts what an engine's registers say."""
    take(lab)
    page = {"id": R.ENGINE_ID, "version": L.VERSION << 16 | R.ENGINE_VERSION, "caps": L.CARD << 24 | 63 << 16 | 64}
    url = f"{BAR}?engine"
    guest = lab.running_guest()
    guest.run("sh", "-c", "mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm")
    with contextlib.closing(Client(server)) as board:
        os.pwrite(board.memory, bytes(R.PAGE_BYTES), 0)
        blank = guest.run("vnetcard-fpga", "--window", f"{url}+1M")
        assert blank.status == 2 and "is none: its id reads" in blank.stderr, blank
        for name, value in page.items():
            os.pwrite(board.memory, value.to_bytes(4, "little"), R.offset(name))
        agent = guest.start("vnetcard-fpga", "--window", f"{url}+1M", "--name", "tun8", "--address", "none")
        guest.wait_for_output(agent, " ready: ", limit=CARD_LIMIT)
        until(lambda: CONFIGURED.items() <= registers(board).items(), "the engine is configured and enabled")
        locked = guest.run("sh", "-c", "grep -h VmLck /proc/[0-9]*/status").stdout.split()
        assert str(MIB >> 10) in locked, "the kernel has locked no memory for the function"
        assert "vfio-msix" in guest.run("cat", "/proc/interrupts").stdout
        guest.signal(agent)
        assert guest.wait(agent).status == 0
        os.pwrite(board.memory, bytes(R.PAGE_BYTES), 0)
    assert guest.run("ls", "/dev/shm").stdout == ""


def test_either_side_wakes_the_other_by_interrupt_at_every_size(linked: CardLab) -> None:
    assert linked.lab.status(L.HOST)["link"]["irq"] == "on"
    shown = linked.running_guest().run("vnetcard", "status", "--window", BAR, "--json")
    (card,) = json.loads(shown.stdout)["agents"]
    assert (card["link"]["irq"], card["window"]["futex_wake"]) == ("on", False)
    before = irq_wakeups(linked), interrupts(linked.running_guest())
    results = assert_pings_cross(linked)
    assert_ledgers_balance(linked.lab)
    after = irq_wakeups(linked), interrupts(linked.running_guest())
    pings = sum(result.sent for result in results)
    rung = pings // 2  # a pump that is still awake when the next packet comes need not be woken
    assert after[L.CARD] - before[L.CARD] > rung, "the guest had fewer interrupts than pings"
    counts = [now - then for now, then in zip(after[0], before[0], strict=True)]
    assert all(count > rung for count in counts), f"pumps found {pings} pings by themselves, but for {counts}"
    small = [result for result in results if result.size <= 9000]  # larger pings take long in the emulation itself
    slow = [result for result in small if result.rtt_min is None or result.rtt_min > SLEEP_MS / 2]
    assert small and not slow, f"round trips of pumps that were not woken: {slow}"


def irq_wakeups(lab: CardLab) -> list[int]:
    """How often the pump that receives was woken by the peer's interrupt, on the host and in the guest."""
    return [side["rx"]["rx_irq_wakeups"] for side in lab.lab.status(L.HOST)["sides"]]


def interrupts(guest: Guest) -> int:
    """How often the function has interrupted the guest."""
    rows = [line.split() for line in guest.run("cat", "/proc/interrupts").stdout.splitlines() if "vfio-msix" in line]
    assert rows, "vfio has no MSI-X of the function"
    return sum(int(row[1]) for row in rows)


@pytest.mark.campaign
@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_a_stream_arrives_with_the_same_hash(linked: CardLab, sender: int) -> None:
    with stream(linked, sender, 16 * MIB) as running:
        running.assert_arrives()
    assert_ledgers_balance(linked.lab)


@pytest.mark.campaign
def test_function_in_use_or_without_a_bar_is_refused_in_one_line(linked: CardLab) -> None:
    guest = linked.running_guest()
    for url, words in (
        (BAR, "cannot open /dev/vfio/"),
        ("vfio:0000:00:00.0", "has no memory BAR of 16 KiB or more; it has none"),
    ):
        done = guest.run("vnetcard-fpga", "--window", url, "--name", "tun7")
        assert done.status == 2 and done.stderr.count("\n") == 1, (url, done)
        assert words in done.stderr


def test_card_finds_the_new_interrupts_of_a_restarted_host_agent(linked: CardLab) -> None:
    with stream(linked, L.CARD, 16 * MIB) as running:
        wait_for_load(linked, L.CARD)
        linked.lab.stop(L.HOST, signal.SIGKILL)
        linked.lab.start(L.HOST, "--persist", *ASLEEP)
        linked.lab.wait_up()
        running.assert_arrives()
    assert linked.lab.status(L.HOST)["link"]["irq"] == "on"
    assert_ledgers_balance(linked.lab, allow=OUTAGE)


@pytest.mark.campaign
def test_card_that_loses_its_power_under_load_comes_back_with_interrupts(linked: CardLab) -> None:
    with stream(linked, L.HOST, 1024 * MIB):
        wait_for_load(linked, L.HOST)
        linked.kill_guest()
        linked.lab.wait_for(L.HOST, "peer-dead")
    linked.boot(options=IOMMU)
    take(linked)
    linked.start_card("--window", BAR, *ASLEEP)
    linked.wait_up()
    assert linked.lab.status(L.HOST)["link"]["irq"] == "on"
    before = irq_wakeups(linked)
    assert_pings_cross(linked, count=3, sizes=[56, 9000])
    pairs = zip(irq_wakeups(linked), before, strict=True)
    assert all(now > then for now, then in pairs), "the new interrupts wake no pump"
    assert_ledgers_balance(linked.lab, allow=OUTAGE)
