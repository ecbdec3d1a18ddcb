"""The surroundings of the engine in simulation: two memories, two register masters, and what must always hold.

Every access is checked as it happens; what is wrong goes to ``Bench.wrong``, and ``Bench.finish`` fails on it.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster

from tests.hdl.hdl_memory import Memory
from tests.hdl.hdl_model import MASK, Direction
from tests.hdl.hdl_ports import ReadPort, WritePort
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry


def random_base(rng: random.Random) -> int:
    """A bus address for a window: any multiple of 4 KiB that is not in the last GiB of the address space."""
    return (rng.getrandbits(64) & -4096) % ((1 << 64) - (1 << 30))


def stalls(rng: random.Random, busy: float) -> Iterator[bool]:
    """Runs of stalled and free cycles, stalled for about ``busy`` of the time."""
    while True:
        mean = rng.choice((1, 3, 12))
        for stalled, share in ((True, busy), (False, 1 - busy)):
            for _ in range(max(1, round(rng.expovariate(1 / (2 * mean * share))))):
                yield stalled


class Page:
    """One side's registers by name."""

    def __init__(self, dut: Any, side: str) -> None:
        bus = AxiLiteBus.from_prefix(dut, f"s_axil_{side}")
        self.master = AxiLiteMaster(bus, dut.clk_i, dut.rst_ni, reset_active_level=False)
        self.irq = getattr(dut, f"irq_{side}_o")

    def channels(self) -> list[Any]:
        """The five AXI-Lite channels."""
        write, read = self.master.write_if, self.master.read_if
        return [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]

    async def write(self, name: str, value: int) -> None:
        await self.master.write_dword(R.offset(name), value & MASK)

    async def read(self, name: str) -> int:
        return int(await self.master.read_dword(R.offset(name)))

    async def read64(self, name: str) -> int:
        return await self.read(f"{name}_lo") | await self.read(f"{name}_hi") << 32


class Bench:
    """The engine between two memories.  ``await start(...)`` before anything else, ``await finish()`` at the end."""

    def __init__(
        self, dut: Any, *, ring: int = 4096, window: int = 16384, start: int = 0, bases: tuple[int, int] | None = None
    ) -> None:
        self.seed = int(os.environ.get("VNETCARD_SEED", "1"))
        dut._log.info("VNETCARD_SEED=%d", self.seed)
        self.rng = random.Random(self.seed)
        self.dut = dut
        self.start_index = start
        self.window = window
        self.geometry = Geometry.plan(window, queue_bytes=ring, instance=1, removable=False)
        self.bases = bases or (random_base(self.rng), random_base(self.rng))
        self.memories = [Memory(name, base, window) for name, base in zip(L.SIDES, self.bases, strict=True)]
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # cocotbext logs each burst
        self.pages = [self.make_page(side) for side in L.SIDES]
        self.reads: list[ReadPort] = []
        self.writes: list[WritePort] = []
        for memory in self.memories:
            self.attach(memory)
        self.side_body = [False, False]  # in each memory: bytes 8 to 63 of the peer's block came, 0 to 7 did not yet
        self.directions = []
        for n, name in enumerate(L.DIRECTIONS):
            place = self.geometry.rings[0][n]
            lines = {line: L.queue_offset(0) + L.QUEUE_LINES[f"{name}_{line}"] for line in ("prod", "cons")}
            source, sink = self.memories[n], self.memories[1 - n]
            self.directions.append(
                Direction(name, source, sink, place.offset, place.offset, place.size, lines["prod"], lines["cons"])
            )
        for side, memory in enumerate(self.memories):
            memory.check_read = lambda at, count, side=side: self._on_read(side, at, count)
            memory.check_write = lambda at, data, side=side: self._on_write(side, at, data)

    def make_page(self, side: str) -> Page:
        """The registers of ``side``; a bench that reaches them by another way has another."""
        return Page(self.dut, side)

    def attach(self, memory: Memory) -> None:
        """Put a memory on its master; likewise."""
        bus = AxiBus.from_prefix(self.dut, f"m_axi_{memory.name}")
        self.reads.append(ReadPort(bus.read, self.dut.clk_i, self.dut.rst_ni, memory, self.rng))
        self.writes.append(WritePort(bus.write, self.dut.clk_i, self.dut.rst_ni, memory, self.rng))

    @property
    def wrong(self) -> list[str]:
        return [text for memory in self.memories for text in memory.wrong]

    def _on_read(self, side: int, at: int, count: int) -> None:
        """Only what the direction that starts here still has to move is ever read."""
        way = self.directions[side]
        # Or this side's block, or the lines with its need_wakeup: of the index that it produces, and consumes.
        lines = (L.side_offset(side), way.prod_line, self.directions[1 - side].cons_line)
        if not way.hostile and not any(0 <= at - line < L.LINE for line in lines):
            ring_at = at - way.source_ring
            if not 0 <= ring_at < way.size or not way.unpublished(ring_at, count):
                self.memories[side].wrong.append(f"{way.name}: read of {count} bytes at {at:#x}, not to be moved")

    def _on_write(self, side: int, at: int, data: bytes) -> None:
        """Data goes where nothing unread lies; a prod word comes after its bytes; a cons word is a doorbell's."""
        ending, starting = self.directions[1 - side], self.directions[side]
        why = None
        if at == L.side_offset(1 - side) + 8 and len(data) == L.LINE - 8:
            self.side_body[side] = True
        elif at == L.side_offset(1 - side) and len(data) == 8:
            if not self.side_body[side]:
                why = "the first 8 bytes of a side block without the rest before them"
            self.side_body[side] = False
        elif ending.hostile:
            pass
        elif len(data) == 4 and at == ending.prod_line:
            why = ending.on_prod_word(int.from_bytes(data, "little"))
        elif len(data) == 4 and at == starting.cons_line:
            value = int.from_bytes(data, "little")
            if value not in starting.cons_doorbells and not (starting.starting and value == starting.start):
                why = f"{starting.name}: cons {data.hex()}, which no doorbell said"
        else:
            ring_at = at - ending.sink_ring
            if not 0 <= ring_at < ending.size or not ending.unpublished(ring_at, len(data)):
                why = f"{ending.name}: write of {len(data)} bytes at {at:#x}, where nothing is to be moved"
        if why:
            self.memories[side].wrong.append(why)

    def stall(self, busy: float, slow: int = 0) -> None:
        """Idle cycles and back-pressure on every channel, ``slow`` cycles at most until a write is applied."""
        for read, write in zip(self.reads, self.writes, strict=True):
            write.slow = read.slow = slow
            for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
                self._stall_channel(channel, busy)

    def _stall_channel(self, channel: Any, busy: float) -> None:
        channel.clear_pause_generator()
        channel.pause = False
        if busy:
            channel.set_pause_generator(stalls(random.Random(self.rng.random()), busy))

    def surround(self) -> None:
        """Calm or stalled, as the run was asked to be."""
        if os.environ.get("VNETCARD_STALL") != "stalled":
            return
        self.stall(self.rng.choice((0.1, 0.3, 0.5)), self.rng.choice((0, 30, 150)))
        for page in self.pages:
            for channel in page.channels():
                self._stall_channel(channel, 0.3)

    async def reset(self) -> None:
        cocotb.start_soon(Clock(self.dut.clk_i, 10, unit="ns").start())
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, 4)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 2)

    async def configure(self) -> None:
        for way in self.directions:
            way.start_at(self.start_index)
        for page, memory in zip(self.pages, self.memories, strict=True):
            await page.write("window_base_lo", memory.base)
            await page.write("window_base_hi", memory.base >> 32)
            await page.write("window_log2", memory.size.bit_length() - 1)
            for way in self.directions:
                ring = way.source_ring if way.source is memory else way.sink_ring
                await page.write(f"{way.name}_ring_offset", ring)
                await page.write(f"{way.name}_ring_log2", way.size.bit_length() - 1)
            await page.write("tx_start", self.start_index)
            for name in ("timeout", "irq_count", "irq_time"):
                await page.write(name, 0)
            await page.write("irq_enable", 0xF)
            await page.write("control", R.CONTROL_BITS["ENABLE"])
        await self.running()

    async def running(self) -> None:
        """Wait until both directions run, and begin the model anew."""
        for side, way in enumerate(self.directions):
            await self.wait_status(side, "TX_RUN")
            way.restart()
        for page in self.pages:
            await page.write("irq_status", MASK)

    async def start(self) -> None:
        self.surround()
        await self.reset()
        await self.configure()

    async def restart(self, start: int) -> None:
        """Both sides off, and on again with every index at ``start``."""
        for page in self.pages:
            await page.write("control", 0)
        await self.wait_off()
        self.start_index = start
        await self.configure()

    async def ring_prod(self, side: int, value: int) -> None:
        """The doorbell of ``side``'s tx."""
        way = self.directions[side]
        way.doorbells.add(value & MASK)
        way.target = value & MASK
        await self.pages[side].write("tx_prod", value)

    async def ring_cons(self, side: int, value: int) -> None:
        """The doorbell of ``side``'s rx."""
        self.directions[1 - side].cons_doorbells.add(value & MASK)
        await self.pages[side].write("rx_cons", value)

    async def wait_until(self, true: Callable[[], bool], what: str, cycles: int = 40_000) -> None:
        for _ in range(cycles // 8):
            if true():
                return
            await ClockCycles(self.dut.clk_i, 8)
            assert not self.wrong, self.wrong
        raise AssertionError(f"after {cycles} cycles still not: {what}")

    async def wait_status(self, side: int, name: str) -> None:
        for _ in range(2000):
            if await self.pages[side].read("status") & R.STATUS_BITS[name]:
                return
        raise AssertionError(f"{L.SIDES[side]} never shows {name}")

    async def wait_off(self) -> None:
        """Until both directions are off: with ENABLE gone on one side, that must come by itself."""
        running = sum(bit for name, bit in R.STATUS_BITS.items() if name != "LOCKED")
        for _ in range(2000):
            if not await self.pages[0].read("status") & running:
                return
        raise AssertionError("the engine does not come to rest")

    async def finish(self) -> None:
        await ClockCycles(self.dut.clk_i, 50)
        assert not self.wrong, self.wrong
