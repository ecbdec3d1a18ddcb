"""The engine behind the UltraScale+ bridge: the host's memory in a root complex, its registers in BAR0."""

from __future__ import annotations

import logging
import os
import random
from typing import Any

from tests.hdl.bench import Bench, Page
from tests.hdl.memory import Memory
from tests.hdl.model import MASK
from tests.hdl.pcie_bench import CARD_BASE, HostRegion
from tests.hdl.usp_bench import HIGH, Block, hold_reset
from vnetcard.engine import registers as R


class BlockPage(Page):
    """The host's registers, accessed by memory reads and writes of the root complex."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def channels(self) -> list[Any]:
        return []

    async def write(self, name: str, value: int) -> None:
        await self.block.bar0.write_dword(R.offset(name), value & MASK)

    async def read(self, name: str) -> int:
        return int(await self.block.bar0.read_dword(R.offset(name)))


class EngineBench(Bench):
    """As ``Bench``, with the host behind the integrated block ``block``; call ``make``."""

    def __init__(self, dut: Any, *, high: bool = True, window: int = 16384, ring: int = 4096, **block: Any) -> None:
        self.block = Block(dut, random.Random(int(os.environ.get("VNETCARD_SEED", "1"))), **block)
        root = self.block.root
        pool = root.mem_address_space.create_pool(HIGH, HIGH) if high else root.mem_pool
        region = pool.alloc_region(window, region_type=HostRegion)
        super().__init__(dut, window=window, ring=ring, bases=(region.get_absolute_address(0), CARD_BASE))
        region.memory = self.memories[0]
        logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)

    @classmethod
    async def make(cls, dut: Any, **options: Any) -> EngineBench:
        """Return a bench whose device is enabled and whose link runs; stalled when the run is a stalled one."""
        await hold_reset(dut)
        bench = cls(dut, **options)
        bench.apply_stalls()
        await bench.reset()
        await bench.configure()
        return bench

    def make_page(self, side: str) -> Page:
        return BlockPage(self.block) if side == "host" else super().make_page(side)

    def attach(self, memory: Memory) -> None:
        if memory.name != "host":
            super().attach(memory)

    def stall(self, busy: float, slow: int = 0) -> None:
        super().stall(busy, slow)
        self.block.stall(busy)
        self.block.delay_reads(max(2, 4 * slow))

    async def reset(self) -> None:
        """Reset, enumerate and enable the device, as a host does when it boots; the model makes the clock."""
        await self.block.boot()

    async def handle_interrupt(self) -> None:
        """Wait for an MSI and clear irq_status until it reads 0: only then does the next event raise another MSI."""
        await self.block.msi.wait()
        self.block.msi.clear()
        page = self.pages[0]
        while seen := await page.read("irq_status"):
            await page.write("irq_status", seen)
