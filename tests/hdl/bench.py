"""The bench around the engine in simulation: two memories, two register masters, and a check of every access.

A violation is appended to ``Bench.violations``, and ``Bench.finish`` fails on it.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster

from tests.hdl.axi_slaves import ReadPort, WritePort
from tests.hdl.memory import Memory
from tests.hdl.model import MASK, Direction
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

PERIODS = (3000, 8000, 9994, 10_000, 13_334, 31_000)
"""Periods in ps of a side's clock in ``vnc_card_top``; the engine's is 10 ns."""


def random_base(rng: random.Random) -> int:
    """Return a bus address for a window: a multiple of 4 KiB outside the last GiB of the address space."""
    return (rng.getrandbits(64) & -4096) % ((1 << 64) - (1 << 30))


def stalls(rng: random.Random, busy: float) -> Iterator[bool]:
    """Yield True for stalled cycles, in runs of random length; about the share ``busy`` of all cycles is stalled."""
    while True:
        mean = rng.choice((1, 3, 12))
        for stalled, share in ((True, busy), (False, 1 - busy)):
            for _ in range(max(1, round(rng.expovariate(1 / (2 * mean * share))))):
                yield stalled


BUSES = tuple(f"{bus}_{side}" for side in L.SIDES for bus in ("s_axil", "m_axi"))
"""The buses of the engine, of which each has its own clock and reset in ``vnc_card_top``."""


def has_own_clocks(dut: Any) -> bool:
    """Return whether ``dut`` is ``vnc_card_top`` and not ``vnc_dma_top``."""
    return hasattr(dut, f"{BUSES[0]}_aclk")


def domain(dut: Any, bus: str) -> tuple[Any, Any]:
    """Return the clock and the reset of ``bus``."""
    if has_own_clocks(dut):
        return getattr(dut, f"{bus}_aclk"), getattr(dut, f"{bus}_aresetn")
    return dut.clk_i, dut.rst_ni


class Page:
    """Access to the registers of one side by name."""

    def __init__(self, dut: Any, side: str) -> None:
        name = f"s_axil_{side}"
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, name), *domain(dut, name), reset_active_level=False)
        self.irq = getattr(dut, f"irq_{side}_o")

    def channels(self) -> list[Any]:
        """Return the five AXI4-Lite channels."""
        write, read = self.master.write_if, self.master.read_if
        return [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]

    async def write(self, name: str, value: int) -> None:
        await self.master.write_dword(R.offset(name), value & MASK)

    async def read(self, name: str) -> int:
        return int(await self.master.read_dword(R.offset(name)))

    async def read64(self, name: str) -> int:
        return await self.read(f"{name}_lo") | await self.read(f"{name}_hi") << 32


class Bench:
    """The engine between two memories; a case awaits ``start()`` first and ``finish()`` at its end."""

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
        self.clocks: dict[str, list[Clock]] = {}  # of vnc_card_top, by side
        self.reads: list[ReadPort] = []
        self.writes: list[WritePort] = []
        for memory in self.memories:
            self.attach(memory)
        self.side_body = [False, False]  # per memory: the peer's block has its new bytes 8 to 63 but not 0 to 7
        self.directions = []
        for n, name in enumerate(L.DIRECTIONS):
            place = self.geometry.rings[0][n]
            lines = {line: L.queue_offset(0) + L.QUEUE_LINES[f"{name}_{line}"] for line in ("prod", "cons")}
            source, sink = self.memories[n], self.memories[1 - n]
            self.directions.append(
                Direction(name, source, sink, place.offset, place.offset, place.size, lines["prod"], lines["cons"])
            )
        for side, memory in enumerate(self.memories):
            memory.check_read = partial(self._on_read, side)
            memory.check_write = partial(self._on_write, side)

    def make_page(self, side: str) -> Page:
        """Return the registers of ``side``; a subclass may reach them by another path."""
        return Page(self.dut, side)

    def attach(self, memory: Memory) -> None:
        """Connect ``memory`` to its master; a subclass may connect it by another path."""
        name = f"m_axi_{memory.name}"
        bus = AxiBus.from_prefix(self.dut, name)
        self.reads.append(ReadPort(bus.read, *domain(self.dut, name), memory, self.rng))
        self.writes.append(WritePort(bus.write, *domain(self.dut, name), memory, self.rng))

    @property
    def violations(self) -> list[str]:
        return [text for memory in self.memories for text in memory.violations]

    def _on_read(self, side: int, at: int, count: int) -> None:
        """Check a read: only bytes that the direction starting here has still to move may be read."""
        direction = self.directions[side]
        # Also allowed: the side blocks, and the index lines, which hold need_wakeup and are read back.
        lines = [L.side_offset(n) for n in (0, 1)]
        lines += [line for each in self.directions for line in (each.prod_line, each.cons_line)]
        if not direction.hostile and not any(0 <= at - line < L.LINE for line in lines):
            ring_at = at - direction.source_ring
            if not 0 <= ring_at < direction.size or not direction.unpublished(ring_at, count):
                self.memories[side].violations.append(
                    f"{direction.name}: read of {count} bytes at {at:#x}, not to be moved"
                )

    def _on_write(self, side: int, at: int, data: bytes) -> None:
        """Check a write: data overwrites nothing unread, prod follows its bytes, cons is the value of a doorbell."""
        ending, starting = self.directions[1 - side], self.directions[side]
        why = None
        if at == L.side_offset(1 - side) + 8 and len(data) == L.LINE - 8:
            self.side_body[side] = True
        elif at == L.side_offset(1 - side) and len(data) == 8:
            if not self.side_body[side]:
                why = "the first 8 bytes of a side block were written before the rest"
            self.side_body[side] = False
        elif ending.hostile:
            pass
        elif len(data) == 4 and at == ending.prod_line:
            why = ending.on_prod_word(int.from_bytes(data, "little"))
        elif len(data) == 4 and at == starting.cons_line:
            value = int.from_bytes(data, "little")
            if value not in starting.cons_doorbells and not (starting.starting and value == starting.start):
                why = f"{starting.name}: cons {data.hex()} is not the value of a doorbell"
        else:
            ring_at = at - ending.sink_ring
            if not 0 <= ring_at < ending.size or not ending.unpublished(ring_at, len(data)):
                why = f"{ending.name}: write of {len(data)} bytes at {at:#x}, which are not a destination"
        if why:
            self.memories[side].violations.append(why)

    def stall(self, busy: float, slow: int = 0) -> None:
        """Stall every channel for the share ``busy`` of the time and delay answers by up to ``slow`` cycles."""
        for read, write in zip(self.reads, self.writes, strict=True):
            write.slow = read.slow = slow
            for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
                self._stall_channel(channel, busy)

    def _stall_channel(self, channel: Any, busy: float) -> None:
        channel.clear_pause_generator()
        channel.pause = False
        if busy:
            channel.set_pause_generator(stalls(random.Random(self.rng.random()), busy))

    def apply_stalls(self) -> None:
        """Stall the channels when the run is a stalled one (VNETCARD_STALL)."""
        if os.environ.get("VNETCARD_STALL") != "stalled":
            return
        self.stall(self.rng.choice((0.1, 0.3, 0.5)), self.rng.choice((0, 30, 150)))
        for page in self.pages:
            for channel in page.channels():
                self._stall_channel(channel, 0.3)

    async def reset(self) -> None:
        Clock(self.dut.clk_i, 10, unit="ns").start()
        resets = [self.dut.rst_ni]
        if has_own_clocks(self.dut):
            self.dut.isolate_host_i.value = 0
            for side in L.SIDES:  # both buses of a side share a clock, as behind a bridge
                self.start_clock(side, self.rng.choice(PERIODS))
            resets += [domain(self.dut, bus)[1] for bus in BUSES]
        for reset in resets:
            reset.value = 0
        await ClockCycles(self.dut.clk_i, 16 if len(resets) > 1 else 4)
        for reset in resets:
            reset.value = 1
        await ClockCycles(self.dut.clk_i, 60 if len(resets) > 1 else 2)

    def start_clock(self, side: str, period: int) -> None:
        """Run the clock of both buses of ``side`` with ``period`` in ps."""
        signals = [domain(self.dut, bus)[0] for bus in BUSES if bus.endswith(side)]
        self.clocks[side] = [Clock(signal, period, unit="ps") for signal in signals]
        for clock in self.clocks[side]:
            clock.start()

    async def configure(self) -> None:
        for direction in self.directions:
            direction.start_at(self.start_index)
        for page, memory in zip(self.pages, self.memories, strict=True):
            await page.write("window_base_lo", memory.base)
            await page.write("window_base_hi", memory.base >> 32)
            await page.write("window_log2", memory.size.bit_length() - 1)
            for direction in self.directions:
                ring = direction.source_ring if direction.source is memory else direction.sink_ring
                await page.write(f"{direction.name}_ring_offset", ring)
                await page.write(f"{direction.name}_ring_log2", direction.size.bit_length() - 1)
            await page.write("tx_start", self.start_index)
            for name in ("timeout", "irq_count", "irq_time"):
                await page.write(name, 0)
            await page.write("irq_enable", 0xF)
            await page.write("control", R.CONTROL_BITS["ENABLE"])
        await self.running()

    async def running(self) -> None:
        """Wait until both directions run, and reset the model."""
        for side, direction in enumerate(self.directions):
            await self.wait_status(side, "TX_RUN")
            direction.restart()
        for page in self.pages:
            await page.write("irq_status", MASK)

    async def start(self) -> None:
        self.apply_stalls()
        await self.reset()
        await self.configure()

    async def restart(self, start: int) -> None:
        """Disable both sides, and enable them again with every index at ``start``."""
        for page in self.pages:
            await page.write("control", 0)
        await self.wait_off()
        self.start_index = start
        await self.configure()

    async def ring_prod(self, side: int, value: int) -> None:
        """Write ``value`` to tx_prod of ``side``."""
        direction = self.directions[side]
        direction.doorbells.add(value & MASK)
        direction.target = value & MASK
        await self.pages[side].write("tx_prod", value)

    async def ring_cons(self, side: int, value: int) -> None:
        """Write ``value`` to rx_cons of ``side``."""
        self.directions[1 - side].cons_doorbells.add(value & MASK)
        await self.pages[side].write("rx_cons", value)

    async def wait_until(self, true: Callable[[], bool], what: str, cycles: int = 40_000) -> None:
        for _ in range(cycles // 8):
            if true():
                return
            await ClockCycles(self.dut.clk_i, 8)
            assert not self.violations, self.violations
        raise AssertionError(f"not within {cycles} cycles: {what}")

    async def wait_published(self, direction: Direction, value: int) -> None:
        """Wait until the consumer of ``direction`` sees the index ``value``."""
        await self.wait_until(lambda: direction.published == value, f"{direction.name} publishes {value:#x}")

    async def wait_returned(self, direction: Direction, value: int) -> None:
        """Wait until the producer of ``direction`` sees cons ``value``."""
        await self.wait_until(lambda: direction.cons_seen == value, f"{direction.name} returns cons {value:#x}")

    async def wait_signal(self, signal: Any, what: str, cycles: int = 40_000) -> None:
        """Wait until ``signal`` of the design is not 0."""
        await self.wait_until(lambda: bool(signal.value), what, cycles)

    async def wait_status(self, side: int, name: str) -> None:
        for _ in range(2000):
            if await self.pages[side].read("status") & R.STATUS_BITS[name]:
                return
        raise AssertionError(f"the {L.SIDES[side]} does not show {name}")

    async def wait_off(self) -> None:
        """Wait until both directions are off, which must follow when either side clears ENABLE."""
        running = sum(bit for name, bit in R.STATUS_BITS.items() if name != "LOCKED")
        for _ in range(2000):
            if not await self.pages[0].read("status") & running:
                return
        raise AssertionError("the directions do not become off")

    async def finish(self) -> None:
        await ClockCycles(self.dut.clk_i, 50)
        assert not self.violations, self.violations
