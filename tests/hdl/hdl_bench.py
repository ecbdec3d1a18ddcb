"""The surroundings of the engine in simulation: two memories, two register masters, and what must always hold.

The memories apply a write burst only when they answer it, and bursts of different ids in any order, as an
interconnect may: an index that does not wait for the responses of its data overtakes them here.  Every access
is checked as it happens; what is wrong goes to ``Bench.wrong``, and ``Bench.finish`` fails on it.
"""

from __future__ import annotations

import logging
import mmap
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlaveRead, AxiSlaveWrite

from vnetcard import _core
from vnetcard import layout as L
from vnetcard import registers as R
from vnetcard.geometry import Geometry

MASK = 0xFFFF_FFFF


def random_base(rng: random.Random) -> int:
    """A bus address for a window: any multiple of 4 KiB that is not in the last GiB of the address space."""
    return (rng.getrandbits(64) & -4096) % ((1 << 64) - (1 << 30))


class Memory:
    """One side's window on its bus.  ``check_read`` and ``check_write`` see every access first."""

    def __init__(self, name: str, base: int, size: int) -> None:
        self.name = name
        self.base = base
        self.size = size
        self.bytes = mmap.mmap(-1, size)
        self.core = _core.Memory(self.bytes)
        self.wrong: list[str] = []
        self.bad_read: Callable[[int], bool] = lambda at: False
        self.bad_write: Callable[[int], bool] = lambda at: False
        self.check_read: Callable[[int, int], None] = lambda at, count: None
        self.check_write: Callable[[int, bytes], None] = lambda at, data: None
        self.bursts = 0  # of data, acknowledged without error
        self.failed_at: list[int] = []  # bus addresses of failed read beats and write bursts
        self.accesses = 0  # to index words and rings

    def inside(self, address: int, count: int) -> int:
        """Offset of a bus address in the window; an access outside is the one thing that must never be."""
        at = address - self.base
        self.accesses += not 0 <= at < L.QUEUE_OFFSET
        if at < 0 or at + count > self.size:
            self.wrong.append(f"{self.name}: access to {count} bytes at {address:#x}, outside the window")
            raise ValueError("outside")
        return at

    async def read(self, address: int, count: int) -> bytes:
        at = self.inside(address, count)
        if self.bad_read(at):
            self.failed_at.append(address)
            raise ValueError("injected")
        self.check_read(at, count)
        return self.bytes[at : at + count]

    def write(self, address: int, data: bytes) -> bool:
        """Apply one whole burst; False: answer it with SLVERR."""
        try:
            at = self.inside(address, len(data))
        except ValueError:
            return False
        if any(self.bad_write(n) for n in range(at, at + len(data), 4)):
            self.failed_at.append(address)
            return False
        self.check_write(at, data)
        self.bytes[at : at + len(data)] = data
        return True


class WritePort(AxiSlaveWrite):
    """Takes bursts as they come, applies them late and, of different ids, in any order."""

    DEPTH = 16

    def __init__(self, bus: Any, clock: Any, reset: Any, memory: Memory, rng: random.Random) -> None:
        self.memory = memory
        self.rng = rng
        self.slow = 0  # up to so many cycles before a burst is applied
        self.pending: dict[int, deque[tuple[int, bytes]]] = {n: deque() for n in range(4)}
        self.news = Event()
        self.room = Event()
        super().__init__(bus, clock, reset, target=memory, reset_active_level=False)
        cocotb.start_soon(self._apply())

    async def _process_write(self) -> None:
        while True:
            while sum(map(len, self.pending.values())) >= self.DEPTH:
                self.room.clear()
                await self.room.wait()
            aw = await self.aw_channel.recv()
            assert int(aw.awburst) == 1 and 1 << int(aw.awsize) == self.byte_lanes
            data, strobes = bytearray(), 0
            for n in range(int(aw.awlen) + 1):
                w = await self.w_channel.recv()
                assert int(w.wlast) == (n == int(aw.awlen)), "WLAST"
                data += int(w.wdata).to_bytes(self.byte_lanes, "little")
                strobes |= int(w.wstrb) << n * self.byte_lanes
            # One run of bytes: all of it, a word at its start, the first 8 bytes, or all but these.
            first, count = (strobes & -strobes).bit_length() - 1, strobes.bit_count()
            assert strobes == ((1 << count) - 1) << first and first in (0, 8), f"strobes {strobes:#x}"
            assert first + count == len(data) or (first == 0 and count in (4, 8)), f"strobes {strobes:#x}"
            self.pending[int(aw.awid)].append((int(aw.awaddr) + first, bytes(data[first : first + count])))
            self.news.set()

    async def _apply(self) -> None:
        clock = RisingEdge(self.clock)
        while True:
            waiting = [n for n, bursts in self.pending.items() if bursts]
            if not waiting:
                self.news.clear()
                await self.news.wait()
                continue
            for _ in range(self.rng.randrange(self.slow + 1)):
                await clock
            chosen = self.rng.choice([n for n, bursts in self.pending.items() if bursts])
            address, data = self.pending[chosen].popleft()
            self.room.set()
            b = self.b_channel._transaction_obj()
            b.bid = chosen
            good = self.memory.write(address, data)
            b.bresp = AxiResp.OKAY if good else self.rng.choice((AxiResp.SLVERR, AxiResp.DECERR))
            self.memory.bursts += good and chosen == 0
            await self.b_channel.send(b)


def stalls(rng: random.Random, busy: float) -> Iterator[bool]:
    """Runs of stalled and free cycles, stalled for about ``busy`` of the time."""
    while True:
        mean = rng.choice((1, 3, 12))
        for stalled, share in ((True, busy), (False, 1 - busy)):
            for _ in range(max(1, round(rng.expovariate(1 / (2 * mean * share))))):
                yield stalled


@dataclass
class Direction:
    """One direction as the bench knows it: the model that every access is checked against."""

    name: str
    source: Memory
    sink: Memory
    source_ring: int
    sink_ring: int
    size: int
    prod_line: int
    cons_line: int
    target: int = 0  # last doorbell
    published: int = 0
    doorbells: set[int] = field(default_factory=set)
    cons_doorbells: set[int] = field(default_factory=set)
    publications: int = 0
    moved: int = 0
    hostile: bool = False  # the register writes make no sense: only containment is checked
    start: int = 0  # at which it starts
    starting: bool = False  # from start_at to restart

    def start_at(self, start: int) -> None:
        """Its next start will write this into both index words."""
        self.start, self.starting = start, True

    def restart(self) -> None:
        """It runs anew: both sides must see where."""
        self.starting = False
        self.target = self.published = self.start
        self.doorbells = set()
        self.cons_doorbells = set()
        assert self.sink.core.load32(self.prod_line) == self.start, f"{self.name}: the start is not at the consumer"
        assert self.source.core.load32(self.cons_line) == self.start, f"{self.name}: the start is not at the producer"

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Ring offsets and lengths of the bytes [start, stop), two where they wrap."""
        left = (stop - start) & MASK
        while left:
            at = start & (self.size - 1)
            count = min(left, self.size - at)
            yield at, count
            start, left = start + count, left - count

    def put(self, start: int, data: bytes) -> None:
        """Producer: store ``data`` at index ``start`` of the source ring."""
        done = 0
        for at, count in self.spans(start, start + len(data)):
            self.source.bytes[self.source_ring + at : self.source_ring + at + count] = data[done : done + count]
            done += count

    def get(self, start: int, stop: int) -> bytes:
        """Consumer: the bytes [start, stop) of the sink's ring."""
        ring = self.sink_ring
        return b"".join(self.sink.bytes[ring + at : ring + at + count] for at, count in self.spans(start, stop))

    def unpublished(self, ring_at: int, count: int) -> bool:
        """Do ``count`` bytes at this offset lie in [published, target)?"""
        ahead = (ring_at - self.published) & (self.size - 1)
        return ahead + count <= (self.target - self.published) & MASK

    def on_prod_word(self, value: int) -> str | None:
        """The engine publishes: its bytes must be there, and it must be what the producer said."""
        if self.starting and value == self.start:
            return None
        if value not in self.doorbells:
            return f"{self.name}: published {value:#x}, which no doorbell said"
        step = (value - self.published) & MASK
        if not 0 < step <= (self.target - self.published) & MASK:
            return f"{self.name}: published {value:#x} after {self.published:#x}"
        for at, count in self.spans(self.published, value):
            a = self.source.bytes[self.source_ring + at : self.source_ring + at + count]
            b = self.sink.bytes[self.sink_ring + at : self.sink_ring + at + count]
            if a != b:
                return f"{self.name}: {value:#x} is visible before its bytes at ring offset {at:#x}"
        self.published = value
        self.publications += 1
        self.moved += step
        return None


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
        self.reads: list[AxiSlaveRead] = []
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
        self.reads.append(AxiSlaveRead(bus.read, self.dut.clk_i, self.dut.rst_ni, memory, reset_active_level=False))
        self.writes.append(WritePort(bus.write, self.dut.clk_i, self.dut.rst_ni, memory, self.rng))

    @property
    def wrong(self) -> list[str]:
        return [text for memory in self.memories for text in memory.wrong]

    def _on_read(self, side: int, at: int, count: int) -> None:
        """Only what the direction that starts here still has to move is ever read."""
        way = self.directions[side]
        if not way.hostile and not 0 <= at - L.side_offset(side) < L.LINE:
            ring_at = at - way.source_ring
            if not 0 <= ring_at < way.size or not way.unpublished(ring_at, count):
                self.memories[side].wrong.append(f"{way.name}: read of {count} bytes at {at:#x}, not to be moved")

    def _on_write(self, side: int, at: int, data: bytes) -> None:
        """Data goes where nothing unread lies; a prod word comes after its bytes; a cons word is a doorbell's."""
        ending, starting = self.directions[1 - side], self.directions[side]
        if ending.hostile:
            return
        why = None
        if len(data) == 4 and at == ending.prod_line:
            why = ending.on_prod_word(int.from_bytes(data, "little"))
        elif len(data) == 4 and at == starting.cons_line:
            value = int.from_bytes(data, "little")
            if value not in starting.cons_doorbells and not (starting.starting and value == starting.start):
                why = f"{starting.name}: cons {data.hex()}, which no doorbell said"
        elif at == L.side_offset(1 - side) + 8 and len(data) == L.LINE - 8:
            self.side_body[side] = True
        elif at == L.side_offset(1 - side) and len(data) == 8:
            if not self.side_body[side]:
                why = "the first 8 bytes of a side block without the rest before them"
            self.side_body[side] = False
        else:
            ring_at = at - ending.sink_ring
            if not 0 <= ring_at < ending.size or not ending.unpublished(ring_at, len(data)):
                why = f"{ending.name}: write of {len(data)} bytes at {at:#x}, where nothing is to be moved"
        if why:
            self.memories[side].wrong.append(why)

    def stall(self, busy: float, slow: int = 0) -> None:
        """Idle cycles and back-pressure on every channel, ``slow`` cycles at most until a write is applied."""
        for read, write in zip(self.reads, self.writes, strict=True):
            write.slow = slow
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
