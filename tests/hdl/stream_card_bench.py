"""The bench around a card whose FPGA logic echoes: the host's memory, its ring ends, and a control plane.

host: memory, Producer, Consumer, register page --- engine --- RAM --- stream port --- echo
                                control plane: AXI4-Lite to the card's page, the RAM and the port's registers
"""

from __future__ import annotations

import logging
import os
import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster

from tests.hdl.axi_slaves import ReadPort, WritePort
from tests.hdl.bench import Page, random_base, stalls
from tests.hdl.memory import Memory
from tests.hdl.stream_peer import Consumer, Packet, Producer, Ring
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

WINDOW = 1 << 16
RINGS = {"h2c": (0x1000, 8192), "c2h": (0x9000, 4096)}
REGISTERS = 1 << 20
NAMES = ("control", "status", "epoch", "start", "frame_max", "rx_ring", "rx_log2", "tx_ring", "tx_log2")
COUNTERS = ("rx_index", "tx_index", "rx_records", "tx_records", "rx_bytes", "tx_bytes",
            "rx_faults", "tx_faults", "drop_big", "drop_bad", "drop_down")  # fmt: skip
OFFSETS = {name: 4 * n for n, name in enumerate(NAMES)} | {name: 0x40 + 4 * n for n, name in enumerate(COUNTERS)}
RUN, VNET, OFF = 1, 2, 1


def register(name: str) -> int:
    """Return the offset of a register of the port."""
    return OFFSETS[name]


class EchoBench:
    """``stream_echo`` and its surroundings; a case awaits ``start()``."""

    def __init__(self, dut: Any, *, frame_max: int = 1518) -> None:
        self.dut = dut
        dut._log.info("VNETCARD_SEED=%s", os.environ.get("VNETCARD_SEED", "1"))
        self.rng = random.Random(int(os.environ.get("VNETCARD_SEED", "1")))
        self.frame_max = frame_max
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # cocotbext logs each burst
        self.memory = Memory("host", random_base(self.rng), WINDOW)
        bus = AxiBus.from_prefix(dut, "m_axi_host")
        self.reads = ReadPort(bus.read, dut.clk_i, dut.rst_ni, self.memory, self.rng)
        self.writes = WritePort(bus.write, dut.clk_i, dut.rst_ni, self.memory, self.rng)
        self.pages = [Page(dut, side) for side in L.SIDES]
        ctl = AxiLiteBus.from_prefix(dut, "s_axil_ctl")
        self.ctl = AxiLiteMaster(ctl, dut.clk_i, dut.rst_ni, reset_active_level=False)
        window = memoryview(self.memory.bytes)
        self.rings = {name: Ring(window, offset, size, name) for name, (offset, size) in RINGS.items()}

    # --- control plane -----------------------------------------------------------------------------------

    async def get(self, name: str) -> int:
        return int(await self.ctl.read_dword(REGISTERS + OFFSETS[name]))

    async def set(self, name: str, value: int) -> None:
        await self.ctl.write_dword(REGISTERS + OFFSETS[name], value)

    async def start(self) -> None:
        """Reset, enable the engine on both sides, and run the first generation."""
        await self.reset()
        await self.generation(epoch=self.rng.randrange(1, 1 << 32))

    async def reset(self) -> None:
        """Stall the channels of a stalled run, and reset."""
        dut = self.dut
        if os.environ.get("VNETCARD_STALL") == "stalled":
            busy, slow = self.rng.choice((0.1, 0.4)), self.rng.choice((0, 30))
            reads, writes = self.reads, self.writes
            reads.slow = writes.slow = slow
            for channel in (reads.ar_channel, reads.r_channel, writes.aw_channel, writes.w_channel, writes.b_channel):
                channel.set_pause_generator(stalls(random.Random(self.rng.random()), busy))
        Clock(dut.clk_i, 10, unit="ns").start()
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, 4)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 2)

    async def generation(self, epoch: int) -> None:
        """Stop port and engine, start both again, with every index at 0 and the host's epoch ``epoch``."""
        await self.set("control", 0)
        while not await self.get("status") & OFF:
            pass
        for page in self.pages:
            await page.write("control", 0)
        running = sum(bit for name, bit in R.STATUS_BITS.items() if name != "LOCKED")
        while await self.pages[0].read("status") & running:
            pass
        self.memory.core.store32(L.side_offset(0), epoch)
        for page, base in zip(self.pages, (self.memory.base, 0), strict=True):
            await page.write("window_base_lo", base & 0xFFFF_FFFF)
            await page.write("window_base_hi", base >> 32)
            await page.write("window_log2", WINDOW.bit_length() - 1)
            for name, (offset, size) in RINGS.items():
                await page.write(f"{name}_ring_offset", offset)
                await page.write(f"{name}_ring_log2", size.bit_length() - 1)
            await page.write("tx_start", 0)
            await page.write("control", R.CONTROL_BITS["ENABLE"])
        for page in self.pages:
            while not await page.read("status") & R.STATUS_BITS["TX_RUN"]:
                pass
        # The engine copies the host's side block after its start.
        while await self.ctl.read_dword(L.side_offset(0)) != epoch:
            pass
        self.producer, self.consumer = Producer(self.rings["h2c"], 0), Consumer(self.rings["c2h"], 0)
        for end, name in (("rx", "h2c"), ("tx", "c2h")):
            offset, size = RINGS[name]
            await self.set(f"{end}_ring", offset)
            await self.set(f"{end}_log2", size.bit_length() - 1)
        await self.set("epoch", epoch)
        await self.set("frame_max", self.frame_max)
        await self.set("control", VNET)
        await self.set("control", RUN | VNET)

    # --- the host ------------------------------------------------------------------------------------------

    async def produce(self, packets: list[Packet]) -> None:
        left = deque(packets)
        while left:
            before = self.producer.prod
            for _ in range(self.rng.randint(1, 5)):
                if left and self.producer.append(left[0]):
                    left.popleft()
            if self.producer.prod != before:
                self.producer.publish()
                await self.pages[0].write("tx_prod", self.producer.prod)
            await ClockCycles(self.dut.clk_i, self.rng.randint(1, 100))

    async def echo(self, packets: list[Packet]) -> None:
        """Send ``packets``, and receive all of them in their order."""
        producing = cocotb.start_soon(self.produce(packets))
        done = quiet = 0
        while done < len(packets):
            found = self.consumer.take(self.rng.randint(1, 6))
            assert found == packets[done : done + len(found)], f"after {done} packets others came back"
            done += len(found)
            if found:
                self.consumer.publish()
                await self.pages[0].write("rx_cons", self.consumer.cons)
            quiet = 0 if found else quiet + 1
            assert quiet < 2000, f"nothing comes back after {done} packets"
            assert not self.memory.violations, self.memory.violations
            await ClockCycles(self.dut.clk_i, self.rng.randint(1, 60))
        await producing
