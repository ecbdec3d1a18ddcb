"""The bench with the host behind PCIe: its memory in a root complex, its registers in BAR0."""

from __future__ import annotations

import logging
from typing import Any

from cocotb.triggers import Event
from cocotbext.axi import Region
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.caps import PciCapId

from tests.hdl.bench import Bench, Page
from tests.hdl.memory import Memory
from tests.hdl.model import MASK
from tests.hdl.pcie_shim import PcieShim
from vnetcard.engine import registers as R

HIGH = 0x1_0000_0000
"""Host memory from this address on needs 64-bit addresses, that is, TLPs with a longer header."""

CARD_BASE = 0x0000_7FFF_FF20_3000
"""Base of the card's window on the card's bus."""


class HostRegion(Region):
    """A region of the root complex's address space backed by a ``Memory``, so that the bench checks every access."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.memory: Memory | None = None

    async def _read(self, address: int, length: int, **_: Any) -> bytes:
        assert self.memory is not None
        if any(self.memory.bad_read(at) for at in range(address, address + length, 4)):
            raise ValueError("injected")  # the root complex answers CA
        return await self.memory.read(self.memory.base + address, length)

    async def _write(self, address: int, data: bytes, **_: Any) -> None:
        assert self.memory is not None
        self.memory.write(self.memory.base + address, data)


class BarPage(Page):
    """The host's registers, accessed by memory reads and writes of the root complex."""

    def __init__(self, dut: Any, bench: PcieBench) -> None:
        self.irq = dut.irq_host_o
        self.bench = bench
        self.master = bench.shim.page

    async def write(self, name: str, value: int) -> None:
        await self.bench.bar0.write_dword(R.offset(name), value & MASK)

    async def read(self, name: str) -> int:
        return int(await self.bench.bar0.read_dword(R.offset(name)))


class PcieBench(Bench):
    """As ``Bench``; ``device`` is the card as the host's operating system sees it."""

    def __init__(self, dut: Any, *, high: bool = True, window: int = 16384, **others: Any) -> None:
        self.root = RootComplex()
        pool = self.root.mem_address_space.create_pool(HIGH, HIGH) if high else self.root.mem_pool
        region = pool.alloc_region(window, region_type=HostRegion)
        self.shim = PcieShim(dut)
        self.root.make_port().connect(self.shim)
        for model in (self.root, self.root.upstream_bridge, *self.root.endpoints):
            model.log.setLevel(logging.ERROR)  # these log each TLP
        self.msi = Event()
        super().__init__(dut, window=window, bases=(region.get_absolute_address(0), CARD_BASE), **others)
        region.memory = self.memories[0]

    def make_page(self, side: str) -> Page:
        return BarPage(self.dut, self) if side == "host" else super().make_page(side)

    def attach(self, memory: Memory) -> None:
        if memory.name == "host":
            self.reads.append(self.shim.read)
            self.writes.append(self.shim.write)
        else:
            super().attach(memory)

    async def reset(self) -> None:
        """Reset, enumerate, and enable the device, as a host does when it boots."""
        await super().reset()
        await self.root.enumerate()
        self.device = self.root.find_device(self.shim.function.pcie_id)
        await self.device.enable_device()
        await self.device.set_master()
        self.bar0 = self.device.bar_window[0]
        assert await self.device.alloc_irq_vectors(1, 1) == 1
        assert self.device.get_capability_offset(PciCapId.MSI)

        async def interrupt() -> None:
            self.msi.set()

        self.device.request_irq(0, interrupt)

    async def handle_interrupt(self) -> None:
        """Wait for an MSI and clear irq_status until it reads 0: only then does the next event raise another MSI."""
        await self.msi.wait()
        self.msi.clear()
        page = self.pages[0]
        while seen := await page.read("irq_status"):
            await page.write("irq_status", seen)
