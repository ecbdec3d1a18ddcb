"""The bench with bridges that answer B before a write is visible, and let other traffic overtake the writes.

Writes keep their order and become visible ``LATE`` cycles after their B.  ``PostedBench.waits`` names what else waits
for the writes that were answered before it:

- ``reads``: the engine's reads of that memory.  This is the rule that a bridge must keep for NEED_WAKEUP.
- ``completions``: the answers to that side's reads of its register page.
- ``interrupts``: that side's interrupt.

PCIe keeps all three on the link.  In front of it a bridge may have a queue for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import ClockCycles, Event, RisingEdge
from cocotbext.axi import AxiBus, AxiResp, AxiSlaveWrite

from tests.hdl.axi_slaves import ReadPort
from tests.hdl.bench import Bench, Page
from tests.hdl.memory import Memory
from tests.hdl.model import MASK

LATE = 300
"""Cycles from B until the write is visible: many reads and register accesses fit in."""
RULES = ("reads", "completions", "interrupts")


class Posted:
    """The writes of one side's bridge that were answered and are not yet visible, in order."""

    def __init__(self, clock: Any, memory: Memory) -> None:
        self.memory = memory
        self.late = LATE
        self.waits: frozenset[str] = frozenset(RULES)
        self._clock = clock
        self._queue: Queue[tuple[int, int, bytes]] = Queue()
        self._accepted = self._visible = self._now = 0
        self._moved = Event()
        cocotb.start_soon(self._count())
        cocotb.start_soon(self._run())

    async def _count(self) -> None:
        while True:
            await RisingEdge(self._clock)
            self._now += 1

    def put(self, address: int, data: bytes) -> None:
        self._accepted += 1
        self._queue.put_nowait((self._now + self.late, address, data))

    async def _run(self) -> None:
        while True:
            due, address, data = await self._queue.get()
            while self._now < due:
                await RisingEdge(self._clock)
            self.memory.bursts += self.memory.write(address, data)
            self._visible += 1
            self._moved.set()

    async def flush(self) -> None:
        """Wait until every write that was answered before is visible."""
        last = self._accepted
        while self._visible < last:
            self._moved.clear()
            await self._moved.wait()

    async def after(self, what: str) -> None:
        """Wait as ``what`` does at this bridge."""
        if what in self.waits:
            await self.flush()


class EarlyWritePort(AxiSlaveWrite):  # type: ignore[misc]
    """Answers each burst at once; ``posted`` applies it later."""

    def __init__(self, bus: Any, clock: Any, reset: Any, posted: Posted) -> None:
        self.posted = posted
        super().__init__(bus, clock, reset, reset_active_level=False)

    async def _process_write(self) -> None:
        while True:
            aw = await self.aw_channel.recv()
            data, strobes = bytearray(), 0
            for n in range(int(aw.awlen) + 1):
                w = await self.w_channel.recv()
                data += int(w.wdata).to_bytes(self.byte_lanes, "little")
                strobes |= int(w.wstrb) << n * self.byte_lanes
            first, count = (strobes & -strobes).bit_length() - 1, strobes.bit_count()
            self.posted.put(int(aw.awaddr) + first, bytes(data[first : first + count]))
            b = self.b_channel._transaction_obj()
            b.bid, b.bresp = int(aw.awid), AxiResp.OKAY
            await self.b_channel.send(b)


class OvertakingReadPort(ReadPort):
    """Reads in order of their addresses' arrival, behind earlier writes only if the bridge keeps that rule."""

    posted: Posted

    def _accept(self, number: int, request: tuple[int, int]) -> None:
        async def later() -> None:
            await self.posted.after("reads")
            accept(number, request)

        accept = super()._accept
        cocotb.start_soon(later())


class PostedPage(Page):
    """The registers of one side; ``posted`` says whether an answer stays behind that side's writes."""

    posted: Posted

    async def read(self, name: str) -> int:
        value = await super().read(name)
        await self.posted.after("completions")
        return value


class PostedBench(Bench):
    """As ``Bench``, with an early bridge at each side."""

    def __init__(self, dut: Any, **others: Any) -> None:
        self.posted: list[Posted] = []
        super().__init__(dut, **others)
        for page, posted in zip(self.pages, self.posted, strict=True):
            assert isinstance(page, PostedPage)
            page.posted = posted

    def make_page(self, side: str) -> Page:
        return PostedPage(self.dut, side)

    def attach(self, memory: Memory) -> None:
        bus, clock = AxiBus.from_prefix(self.dut, f"m_axi_{memory.name}"), (self.dut.clk_i, self.dut.rst_ni)
        posted = Posted(self.dut.clk_i, memory)
        read = OvertakingReadPort(bus.read, *clock, memory, self.rng)
        read.posted = posted
        self.posted.append(posted)
        self.reads.append(read)
        self.writes.append(EarlyWritePort(bus.write, *clock, posted))

    def wait_for(self, waits: frozenset[str] | set[str]) -> None:
        """Set what waits for earlier writes, at both bridges."""
        for posted in self.posted:
            posted.waits = frozenset(waits)

    async def settle(self) -> None:
        """Wait until every write is visible."""
        for posted in self.posted:
            await posted.flush()

    async def wait_awoken(self, side: int, seen: Callable[[], bool], what: str, cycles: int = 8000) -> None:
        """Wait as a sleeper does: its handler clears the interrupt and checks ``seen``, and waits for the next one.

        Raises AssertionError when no further interrupt comes: a wake-up was lost.
        """
        page = self.pages[side]
        for _ in range(cycles):
            if int(page.irq.value):
                await self.posted[side].after("interrupts")
                await page.write("irq_status", MASK)
                if seen():
                    return
            await ClockCycles(self.dut.clk_i, 1)
        raise AssertionError(f"no interrupt when {what}")
