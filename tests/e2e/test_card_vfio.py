"""A card with interrupts: QEMU's ivshmem-doorbell, taken by vfio-pci behind the guest's IOMMU.

The host's agent and QEMU meet at `vnetcard ivshmem-server`.  A pump that sleeps in the guest is woken by an MSI-X that
becomes an eventfd, one that sleeps on the host by a write into a register of the guest's BAR.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledger import assert_books_balance
from restarts import until

from vnetcard import layout as L
from vnetcard import registers as R
from vnetcard.ivshmem import Client
from vnetcard.lab import ADDRESSES, Lab, die_with_parent
from vnetcard.pingsuite import Target, run_suite
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CARD_LIMIT
from vnetcard.sim.guest.qemu import Guest

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]

MIB = 1 << 20
SIZES = [56, 1472, 9000]
MACHINE = ("-machine", "iommu=smmuv3,gic-version=3")
"""The guest's IOMMU, and an interrupt controller that takes MSIs from behind it."""
TAKE = """
for module in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci; do
    [ -e /lib/modules/$module.ko ] && insmod /lib/modules/$module.ko
done
for device in /sys/bus/pci/devices/*; do
    [ $(cat $device/device) = 0x1110 ] || continue
    [ -e $device/resource1 ] || continue
    echo vfio-pci > $device/driver_override
    echo ${device##*/} > /sys/bus/pci/drivers_probe
    echo ${device##*/}
done
"""
"""Give the one ivshmem device that has an MSI-X table to vfio-pci, and say which it is."""


@dataclass(frozen=True, slots=True)
class World:
    """The host's lab, the guest, the name of the card's function in it, and the socket of the server."""

    lab: Lab
    guest: Guest
    function: str
    socket: Path


@pytest.fixture(scope="module")
def world(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("vfio")
    socket, other = folder / "card.sock", Path(f"/dev/shm/vnetcard-e2e-vfio-{os.getpid()}")
    other.write_bytes(bytes(MIB))  # of the plain device, which every guest has
    server = subprocess.Popen(
        [sys.executable, "-m", "vnetcard.cli", "ivshmem-server", str(socket), "--size", "1M"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it makes one system call
    )
    try:
        assert server.stdout is not None
        with server.stdout as said:
            assert " ready: " in said.readline()
        chardev = ("-chardev", f"socket,path={socket},id=card", "-device", "ivshmem-doorbell,chardev=card,vectors=2")
        with (
            Lab("e2e-vfio", window=f"ivshmem:{socket}", log=sys.stderr, sides=[L.HOST]) as lab,
            Guest(image, other, options=[*MACHINE, *chardev]) as guest,
        ):
            done = guest.run("sh", "-c", TAKE)
            assert done.stdout.count("\n") == 1, f"{done}\n{guest.run('ls', '/sys/bus/pci/devices').stdout}"
            yield World(lab, guest, done.stdout.strip(), socket)
    finally:
        server.terminate()
        server.wait()
        other.unlink()


def test_either_side_wakes_the_other_by_interrupt(world: World) -> None:
    world.lab.start(L.HOST)
    agent = world.guest.start("vnetcard-fpga", "--window", f"vfio:{world.function}/2")
    world.guest.wait_said(agent, " ready: ", limit=CARD_LIMIT)
    world.lab.wait_up()
    assert world.lab.status(L.HOST)["link"]["bell"] == "on"
    shown = world.guest.run("vnetcard", "status", "--window", f"vfio:{world.function}/2", "--json")
    (card,) = json.loads(shown.stdout)["agents"]
    assert (card["link"]["bell"], card["window"]["doorbell"]) == ("on", False)
    before = interrupts(world.guest)
    target = Target(ADDRESSES[L.CARD], netns=world.lab.namespaces[L.HOST], label="host to card")
    results = run_suite([target], count=10, sizes=SIZES)
    assert all(result.ok for result in results), "\n".join(str(result) for result in results)
    print("\n".join(str(result) for result in results))
    done = world.guest.run(
        "vnetcard", "ping", ADDRESSES[L.HOST], "--count", "10", "--sizes", *map(str, SIZES), limit=120
    )
    assert done.status == 0, done.stdout
    assert interrupts(world.guest) > before, "pings crossed, and nobody was interrupted"
    assert_books_balance(world.lab)
    world.guest.signal(agent)
    assert world.guest.wait(agent).status == 0
    assert world.lab.stop(L.HOST) == 0


def registers(board: Client) -> dict[str, int]:
    """What was written into the engine's page."""
    return {each.name: int.from_bytes(os.pread(board.memory, 4, each.offset), "little") for each in R.REGISTERS}


def interrupts(guest: Guest) -> int:
    """How often the function has interrupted the guest."""
    rows = [line.split() for line in guest.run("cat", "/proc/interrupts").stdout.splitlines() if "vfio-msix" in line]
    assert rows, "vfio has no MSI-X of the function"
    return sum(int(row[1]) for row in rows)


def test_function_belongs_to_one_process_and_what_is_wrong_is_one_line(world: World) -> None:
    world.lab.start(L.HOST)
    agent = world.guest.start("vnetcard-fpga", "--window", f"vfio:{world.function}/2")
    world.guest.wait_said(agent, " ready: ", limit=CARD_LIMIT)
    for url, words in (
        (f"vfio:{world.function}/2", "cannot open /dev/vfio/"),
        (f"vfio:{world.function}/7", "there is no BAR '7'"),
        ("vfio:ffff:00:1f.7", "there is no PCI function ffff:00:1f.7"),
        ("vfio:0000:00:00.0", "belongs to no driver, not to vfio-pci: echo vfio-pci >"),
    ):
        done = world.guest.run("vnetcard-fpga", "--window", url, "--name", "tun7")
        assert done.status == 2 and done.stderr.count("\n") == 1, (url, done)
        assert words in done.stderr
    world.guest.signal(agent)
    assert world.guest.wait(agent).status == 0
    assert world.lab.stop(L.HOST) == 0


CONFIGURED = {"window_base_hi": 1, "window_base_lo": 0, "window_log2": 20, "control": 3}
"""Of the engine's registers, once an agent has enabled it."""


def test_engine_behind_the_iommu_is_given_memory_and_driven(world: World) -> None:
    """The page is the shared memory, in which the test puts what an engine's registers say."""
    page = {"id": R.ENGINE_ID, "version": L.VERSION << 16 | R.ENGINE_VERSION, "caps": L.CARD << 24 | 63 << 16 | 64}
    url = f"vfio:{world.function}/2?engine"
    guest = world.guest
    guest.run("sh", "-c", "mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm")
    with contextlib.closing(Client(world.socket)) as board:
        blank = guest.run("vnetcard-fpga", "--window", f"{url}+1M")
        assert blank.status == 2 and "is none: its id reads" in blank.stderr, blank
        os.pwrite(board.memory, bytes(R.PAGE_BYTES), 0)
        for name, value in page.items():
            os.pwrite(board.memory, value.to_bytes(4, "little"), R.offset(name))
        agent = guest.start("vnetcard-fpga", "--window", f"{url}+1M", "--name", "tun8", "--address", "none")
        guest.wait_said(agent, " ready: ", limit=CARD_LIMIT)
        until(lambda: CONFIGURED.items() <= registers(board).items(), "the engine is configured and enabled")
        locked = guest.run("sh", "-c", "grep -h VmLck /proc/[0-9]*/status").stdout.split()
        assert str(MIB >> 10) in locked, "the kernel has locked no memory for the function"
        assert "vfio-msix" in guest.run("cat", "/proc/interrupts").stdout
        guest.signal(agent)
        assert guest.wait(agent).status == 0
    assert guest.run("ls", "/dev/shm").stdout == ""
