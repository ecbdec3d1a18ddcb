"""The host of a simulation as a client of its PCI function: registers by BAR 0, memory by DMA maps of single pages."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import select
from collections.abc import Iterator
from pathlib import Path

from tests.harness.vfio_user_client import Client
from tests.sim.cards import Card, Pair, opened_card
from tests.sim.simulation import Simulation, simulated
from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.window import sim_bus

IOVA = 1 << 32
PAGE = 4096
WINDOW = 1 << 20
OFFSET = 1 << 20
"""Where the window lies in the client's memory, so that an untranslated address finds something else."""


class PciHost(Card):
    """The host's view of the function that ``client`` has."""

    def __init__(self, client: Client) -> None:
        self.client, self.side = client, L.HOST
        self._view = mmap.mmap(client.memory_fd, WINDOW, offset=OFFSET)
        self.memory = Memory(self._view)

    def _ask(self, op: int, offset: int, value: int) -> int:
        if op == sim_bus.OPS["READ"]:
            return self.client.read32(offset)
        self.client.write32(offset, value)
        return 0

    def ring(self, name: str, value: int) -> None:
        self.client.write32(R.offset(name), value)

    def configure(self, base: int | None = None) -> None:
        super().configure(IOVA if base is None else base)

    def map_page(self, at: int, flags: int = 3) -> None:
        """Show the page at offset ``at`` of the window."""
        self.client.map(IOVA + at, PAGE, offset=OFFSET + at, flags=flags)

    def map_window(self) -> None:
        """Show the window, every page by a map of its own and in no order."""
        pages = list(range(0, WINDOW, PAGE))
        random.Random(1).shuffle(pages)
        for at in pages:
            self.map_page(at)

    def close(self) -> None:
        """Release the memory."""
        self.memory.close()
        self._view.close()


@contextlib.contextmanager
def pci_simulation(folder: Path, *options: str) -> Iterator[tuple[Simulation, Path]]:
    """A simulation whose host is the client at the socket."""
    socket = folder / "card.sock"
    with simulated("--vfio-user", str(socket), "--memory", "1M", *options) as simulation:
        yield simulation, socket


@contextlib.contextmanager
def pci_pair(simulation: Simulation, socket: Path) -> Iterator[tuple[PciHost, Card]]:
    """Host and card; the host's window is mapped, and its function bus master."""
    with Client(socket) as client, opened_card(simulation.name) as card:
        host = PciHost(client)
        try:
            host.map_window()
            client.master()
            yield host, card
        finally:
            host.close()


def interrupted(eventfd: int, limit: float = 20.0) -> bool:
    """Does an interrupt come within ``limit`` seconds?"""
    if not select.select([eventfd], [], [], limit)[0]:
        return False
    return bool(os.eventfd_read(eventfd))


def pair(host: PciHost, card: Card) -> Pair:
    """Both, as tests/sim/cards.py takes them."""
    return host, card
