"""The engine's RTL behind a PCI function: a client of vfio-user in the place of a virtual machine.

Every access of the engine to the host's memory goes through the client's DMA maps, one for each page.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.programs import run
from tests.harness.vfio_user_client import Client, Failed
from tests.sim.cards import RING_BYTES, RING_OFFSET, Card, bring_up, send, wait_until
from tests.sim.pci_host import IOVA, OFFSET, PAGE, PciHost, interrupted, pci_pair, pci_simulation
from tests.sim.simulation import Simulation
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.vfio_user import protocol as P
from vnetcard.sim.vfio_user.device import CONFIG_REGION

pytestmark = [pytest.mark.hdl, pytest.mark.slow]

GONE = 0xFFFF_FFFF
FLR_AT, FLR = 0x58, (1 << 15).to_bytes(2, "little")
H2C, C2H = (RING_OFFSET[direction] for direction in L.DIRECTIONS)
Pair = tuple[PciHost, Card]


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulation, Path]]:
    with pci_simulation(tmp_path_factory.mktemp("pci")) as found:
        yield found


@pytest.fixture
def cards(simulation: tuple[Simulation, Path]) -> Iterator[Pair]:
    """A new client, and an engine whose directions both run from index 0."""
    with pci_pair(*simulation) as (host, card):
        card.write("control", 0)
        host.client.call(P.Command.DEVICE_RESET)
        host.client.master()
        for each in (host, card):
            each.memory.write(L.queue_offset(0), bytes(4 * L.LINE))
            each.write("tx_start", 0)
        bring_up((host, card))
        yield host, card


def restart(cards: Pair, name: str) -> None:
    """Restart the halted direction ``name`` of the host at index 0."""
    for card in cards:
        card.memory.write(L.queue_offset(0), bytes(4 * L.LINE))
        card.write("tx_start", 0)
    cards[0].write("reset", R.RESET_BITS[name])
    wait_until("it runs again", lambda: cards[0].read("status") & R.STATUS_BITS[f"{name}_RUN"])


def halted(cards: Pair, name: str) -> tuple[int, int]:
    """Cause and address of the halt of the host's direction ``name`` (tx, rx), once it has halted."""
    wait_until("it halts", lambda: cards[0].read("status") & R.STATUS_BITS[f"{name.upper()}_HALT"])
    low, high = cards[0].read(f"{name}_error_addr_lo"), cards[0].read(f"{name}_error_addr_hi")
    return cards[0].read(f"{name}_cause"), high << 32 | low


@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
def test_bytes_arrive_through_the_maps(cards: Pair, sender: int) -> None:
    chance, direction, prod = random.Random(sender), L.DIRECTIONS[sender], 0
    for _ in range(20):
        data = chance.randbytes(L.LINE * chance.randint(1, 120))
        begun, prod = prod, send(cards, sender, prod, data)
        cards[1 - sender].ring("rx_cons", prod)
        wait_until("cons arrives", lambda: cards[sender].line(f"{direction}_cons") == prod)  # noqa: B023
        for at in range(0, len(data), L.LINE):
            place = RING_OFFSET[direction] + (begun + at) % RING_BYTES
            assert cards[1 - sender].memory.read(place, L.LINE) == data[at : at + L.LINE]
    assert prod > RING_BYTES


def test_read_of_a_page_that_is_not_mapped_is_a_bus_error(cards: Pair) -> None:
    host, _ = cards
    host.client.unmap(IOVA + H2C + PAGE, PAGE)
    host.ring("tx_prod", 2 * PAGE)
    cause, address = halted(cards, "tx")
    assert (cause, address // PAGE * PAGE) == (R.CAUSES["READ"], IOVA + H2C + PAGE)
    assert host.read("status") & R.STATUS_BITS["RX_RUN"], "the other direction continues"
    host.map_page(H2C + PAGE)
    restart(cards, "TX")
    send(cards, L.HOST, 0, bytes(2 * PAGE))


@pytest.mark.parametrize("how", ["unmapped", "read-only", "no descriptor"])
def test_write_to_a_page_that_is_not_writable_is_a_bus_error(cards: Pair, how: str) -> None:
    host, card = cards
    host.client.unmap(IOVA + C2H, PAGE)
    host.memory.write(C2H, b"\x5a" * PAGE)
    if how == "read-only":
        host.map_page(C2H, flags=P.DMA_READ)
    elif how == "no descriptor":
        host.client.call(P.Command.DMA_MAP, P.DmaMap(3, 0, IOVA + C2H, PAGE).pack())
    card.ring("tx_prod", L.LINE)
    assert halted(cards, "rx") == (R.CAUSES["WRITE"], IOVA + C2H)
    assert host.memory.read(C2H, PAGE) == b"\x5a" * PAGE
    assert host.line("c2h_prod") == 0, "nothing was published"


def test_function_that_is_no_bus_master_reaches_nothing(cards: Pair) -> None:
    host, _ = cards
    host.client.master(False)
    host.ring("tx_prod", L.LINE)
    assert halted(cards, "tx") == (R.CAUSES["READ"], IOVA + H2C)
    host.client.master()
    restart(cards, "TX")
    send(cards, L.HOST, 0, bytes(L.LINE))


def test_iommu_that_refuses_everything_and_recovers(cards: Pair, simulation: tuple[Simulation, Path]) -> None:
    process = simulation[0]
    process.process.send_signal(signal.SIGUSR2)
    process.event("refusing")
    cards[1].ring("tx_prod", L.LINE)
    assert halted(cards, "rx")[0] == R.CAUSES["WRITE"]
    process.process.send_signal(signal.SIGUSR2)
    process.event("serving")
    restart(cards, "RX")
    send(cards, L.CARD, 0, bytes(L.LINE))


def has_halted(host: PciHost) -> bool:
    return bool(host.read("status") & R.STATUS_BITS["RX_HALT"])


def test_memory_that_was_taken_back_is_written_no_more(cards: Pair) -> None:
    """While the card sends as fast as it can: once the reply is here, the page stays as it is."""
    host, card = cards
    chance = random.Random(3)
    prod = 0
    for _ in range(30):
        for _ in range(chance.randint(1, 4)):
            prod += 4 * PAGE
            card.ring("tx_prod", prod)
            host.ring("rx_cons", prod)
        host.client.unmap(IOVA + C2H, PAGE)
        host.memory.write(C2H, b"\x5a" * PAGE)
        sent = prod
        wait_until("it halts", lambda: has_halted(host) or host.line("c2h_prod") == sent)  # noqa: B023
        assert host.memory.read(C2H, PAGE) == b"\x5a" * PAGE
        host.map_page(C2H)
        restart(cards, "RX")
        prod = 0


def test_interrupt_is_sent_for_each_rising_edge(cards: Pair) -> None:
    host, card = cards
    eventfd = host.client.listen()
    try:
        prod = 0
        for _ in range(20):
            while causes := host.read("irq_status"):
                host.write("irq_status", causes)
            while interrupted(eventfd, 0):
                pass
            prod = send(cards, L.CARD, prod, bytes(L.LINE))
            assert interrupted(eventfd), "no interrupt came"
            assert host.read("irq_status") & R.IRQ_BITS["RX_PROD"]
            card.read("status")
            assert not interrupted(eventfd, 0.002), "the line did not fall in between"
            host.ring("rx_cons", prod)
    finally:
        os.close(eventfd)


@pytest.mark.parametrize("under_load", [False, True], ids=["idle", "transfers in flight"])
def test_function_reset_leaves_the_card_alone(cards: Pair, under_load: bool) -> None:
    host, card = cards
    if under_load:
        card.ring("tx_prod", RING_BYTES)
    host.client.write(CONFIG_REGION, FLR_AT, FLR)
    assert host.client.config(4, 2) == 0, "no longer bus master"
    rw = [register.name for register in R.REGISTERS if register.access == "RW"]
    assert {name: value for name in rw if (value := host.read(name))} == {}
    assert card.read("control") == R.CONTROL_BITS["ENABLE"]
    assert not host.read("status") & R.STATUS_BITS["LOCKED"]
    before = host.memory.read(0, 0x40000)
    card.ring("tx_prod", RING_BYTES)
    card.read("status")
    assert host.memory.read(0, 0x40000) == before
    host.client.master()
    card.write("control", 0)
    for each in cards:
        each.memory.write(L.queue_offset(0), bytes(4 * L.LINE))
    bring_up(cards)
    send(cards, L.HOST, 0, bytes(L.LINE))


def test_removed_card_reads_as_all_ones_and_comes_back(cards: Pair, simulation: tuple[Simulation, Path]) -> None:
    host, _ = cards
    process = simulation[0]
    for event in ("removed", "returned"):
        process.process.send_signal(signal.SIGUSR1)
        process.event(event)
        if event == "removed":
            assert (host.read("id"), host.client.config(0, 4)) == (GONE, GONE)
            before = host.memory.read(0, 0x40000)
            host.ring("tx_prod", L.LINE)
            assert host.memory.read(0, 0x40000) == before
    assert (host.read("id"), host.read("control"), host.client.config(0, 2)) == (R.ENGINE_ID, 0, 0x10EE)
    host.client.master()
    for each in cards:
        each.memory.write(L.queue_offset(0), bytes(4 * L.LINE))
    bring_up(cards)
    send(cards, L.HOST, 0, bytes(L.LINE))


def test_client_that_dies_in_the_middle_takes_its_memory_along(simulation: tuple[Simulation, Path]) -> None:
    for _ in range(5):
        with pci_pair(*simulation) as (host, card):
            card.write("control", 0)
            host.client.call(P.Command.DEVICE_RESET)
            host.client.master()
            for each in (host, card):
                each.memory.write(L.queue_offset(0), bytes(4 * L.LINE))
            bring_up((host, card))
            card.ring("tx_prod", RING_BYTES)


def test_memory_that_can_shrink_is_refused(cards: Pair) -> None:
    fd = os.memfd_create("loose", os.MFD_CLOEXEC)
    os.truncate(fd, PAGE)
    with pytest.raises(Failed) as failed:
        cards[0].client.map(1 << 40, PAGE, fd=fd)
    assert failed.value.number == errno.EINVAL
    os.close(fd)
    with pytest.raises(Failed) as failed:
        cards[0].client.map(1 << 40, 2 * Client.MEMORY)
    assert failed.value.number == errno.EINVAL, "more than the descriptor has"
    assert OFFSET + PAGE < Client.MEMORY


def test_totals_count_what_happened(tmp_path: Path) -> None:
    with pci_simulation(tmp_path) as (process, socket):
        with pci_pair(process, socket) as (host, card):
            bring_up((host, card))
            host.client.unmap(IOVA + H2C, PAGE)
            host.ring("tx_prod", L.LINE)
            halted((host, card), "tx")
            host.client.call(P.Command.DEVICE_RESET)
            totals = process.stop()
        pci = totals["pci"]
        assert (pci["clients"], pci["function_resets"], pci["refused"]) == (1, 1, totals["sides"]["host"]["outside"])
        assert pci["refused"] >= 1
        assert not socket.exists()


def test_agent_of_the_host_is_sent_to_the_virtual_machine(simulation: tuple[Simulation, Path]) -> None:
    done = run([sys.executable, "-m", "vnetcard.x86_side.agent", "--window", f"sim:{simulation[0].name}"])
    assert done.status == 2 and "is the client of its PCI function" in done.stderr, done
