"""Benches around LitePCIe's own core: the AXI slave alone, and the engine behind it."""

from __future__ import annotations

import logging
import os
import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, RisingEdge, Timer
from cocotbext.axi import AxiBus, AxiResp
from cocotbext.axi.axi_channels import AxiARSource, AxiAWSource, AxiBSink, AxiRSink, AxiWSource

from tests.hdl.bench import Bench, Page, stalls
from tests.hdl.litepcie_root import Root
from tests.hdl.memory import Memory
from tests.hdl.model import MASK
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

SPAN = 1 << 16
"""Bytes of the host's memory that the cases use."""
LOW, HIGH = 0x4000_0000, 0x12_3456_0000
"""Bases of that memory, which is in both places: below and above 4 GiB."""
CARD_BASE = 0x7FFF_FF20_3000


class SlaveBench:
    """``PCIeAXISlave`` between an AXI master and the root complex; ``host`` is the memory behind both."""

    def __init__(self, dut: Any, base: int = HIGH, **sizes: int) -> None:
        seed = int(os.environ.get("VNETCARD_SEED", "1"))
        dut._log.info("VNETCARD_SEED=%d", seed)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.rng = random.Random(seed)
        self.dut = dut
        self.base = base
        self.host = bytearray(self.rng.randbytes(SPAN))
        self.root = Root(dut, self.rng, **sizes)
        self.root.write, self.root.read = self._write, self._read
        self.size = len(dut.s_axi_wstrb)
        bus, clock = AxiBus.from_prefix(dut, "s_axi"), (dut.clk_i, dut.rst_ni)
        low = {"reset_active_level": False}
        self.aw, self.w = AxiAWSource(bus.write.aw, *clock, **low), AxiWSource(bus.write.w, *clock, **low)
        self.b = AxiBSink(bus.write.b, *clock, **low)
        self.ar, self.r = AxiARSource(bus.read.ar, *clock, **low), AxiRSink(bus.read.r, *clock, **low)
        self.channels = (self.aw, self.w, self.b, self.ar, self.r)
        self.responses: dict[int, deque[Event]] = {n: deque() for n in range(4)}
        self.response: dict[Event, int] = {}
        self.reads: deque[tuple[int, int, list[tuple[bytes, int]], Event]] = deque()
        dut.enable.value = 1

    def _write(self, address: int, data: bytes) -> None:
        at = address - (HIGH if address >> 32 else LOW)
        assert 0 <= at <= SPAN - len(data), f"a write at {address:#x}"
        self.host[at : at + len(data)] = data

    def _read(self, address: int, count: int) -> bytes:
        at = address - (HIGH if address >> 32 else LOW)
        assert 0 <= at <= SPAN - count, f"a read at {address:#x}"
        return bytes(self.host[at : at + count])

    async def start(self) -> None:
        Clock(self.dut.clk_i, 10, unit="ns").start()
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, 4)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 20)  # LitePCIe fills its queue of tags
        cocotb.start_soon(self._take_b())
        cocotb.start_soon(self._take_r())

    def stall(self, busy: float) -> None:
        """Stall every channel and stream for the share ``busy`` of the time."""
        self.root.idle = busy
        for channel in self.channels:
            channel.clear_pause_generator()
            channel.pause = False
            if busy:
                channel.set_pause_generator(stalls(random.Random(self.rng.random()), busy))

    async def _take_b(self) -> None:
        while True:
            b = await self.b.recv()
            done = self.responses[int(b.bid)].popleft()
            self.response[done] = int(b.bresp)
            done.set()

    async def _take_r(self) -> None:
        while True:
            r = await self.r.recv()
            ident, left, beats, done = self.reads[0]
            assert int(r.rid) == ident, "R is not in the order of AR"
            beats.append((int(r.rdata).to_bytes(self.size, "little"), int(r.rresp)))
            assert int(r.rlast) == (len(beats) == left), "RLAST"
            if len(beats) == left:
                self.reads.popleft()
                done.set()

    def burst(self, channel: Any, at: int, beats: int, ident: int, **fields: int) -> Any:
        """An AW or AR: full width, INCR, unless ``fields`` differs."""
        name = "aw" if channel is self.aw else "ar"
        wanted = {"id": ident, "addr": self.base + at, "len": beats - 1, "size": self.size.bit_length() - 1,
                  "burst": 1, "prot": 2, "cache": 2} | fields  # fmt: skip
        sent = channel._transaction_obj()
        for field, value in wanted.items():
            setattr(sent, name + field, value)
        return sent

    async def post(self, at: int, beats: list[tuple[bytes, int]], ident: int = 0, **fields: int) -> Event:
        """Start a write of beats (bytes, strobes); the event is set with its B, whose code is in ``response``."""
        done = Event()
        self.responses[ident].append(done)
        await self.aw.send(self.burst(self.aw, at, len(beats), ident, **fields))
        for n, (data, strobes) in enumerate(beats):
            w = self.w._transaction_obj()
            w.wdata, w.wstrb, w.wlast = int.from_bytes(data, "little"), strobes, n == len(beats) - 1
            await self.w.send(w)
        return done

    async def write(self, at: int, beats: list[tuple[bytes, int]], ident: int = 0, **fields: int) -> int:
        """Write and return the code of B."""
        done = await self.post(at, beats, ident, **fields)
        await self.within(done)
        return self.response[done]

    async def request(
        self, at: int, beats: int, ident: int = 0, **fields: int
    ) -> tuple[list[tuple[bytes, int]], Event]:
        """Start a read; its beats (bytes, code) are complete when the event is set."""
        done, got = Event(), list[tuple[bytes, int]]()
        self.reads.append((ident, beats, got, done))
        await self.ar.send(self.burst(self.ar, at, beats, ident, **fields))
        return got, done

    async def read(self, at: int, beats: int, ident: int = 0, **fields: int) -> list[tuple[bytes, int]]:
        got, done = await self.request(at, beats, ident, **fields)
        await self.within(done)
        return got

    async def settle(self) -> None:
        """Wait until no TLP is on its way to the host: B does not mean that a write has arrived."""
        idle = 0
        while idle < 20:
            await RisingEdge(self.dut.clk_i)
            idle = 0 if int(self.dut.tx_valid.value) else idle + 1

    async def within(self, done: Event, microseconds: int = 200) -> None:
        """Wait for ``done``; AssertionError after ``microseconds``."""
        waiting = cocotb.start_soon(_wait(done))
        for _ in range(microseconds * 10):
            if waiting.done():
                return
            await Timer(100, unit="ns")
        raise AssertionError(f"no answer within {microseconds} us")

    def whole(self, beats: int) -> list[tuple[bytes, int]]:
        """Random beats with all strobes set."""
        return [(self.rng.randbytes(self.size), (1 << self.size) - 1) for _ in range(beats)]

    def expect(self, at: int, beats: list[tuple[bytes, int]], into: bytearray) -> None:
        """Apply ``beats`` to ``into`` as AXI demands."""
        at = at // self.size * self.size
        for n, (data, strobes) in enumerate(beats):
            for lane in range(self.size):
                if strobes >> lane & 1:
                    into[at + n * self.size + lane] = data[lane]

    def good(self, beats: list[tuple[bytes, int]]) -> bytes:
        """The bytes of beats that must all be OKAY."""
        assert all(code == AxiResp.OKAY for _, code in beats)
        return b"".join(data for data, _ in beats)


async def _wait(done: Event) -> None:
    await done.wait()


class BarPage(Page):
    """The host's registers in BAR0, behind LitePCIe."""

    def __init__(self, dut: Any, root: Root) -> None:
        self.irq = dut.irq_host_o
        self.root = root

    def channels(self) -> list[Any]:
        return []

    async def write(self, name: str, value: int) -> None:
        await self.root.write32(R.offset(name), value & MASK)
        if name not in ("tx_prod", "rx_cons"):
            await self.root.read32(
                R.offset("id")
            )  # a write is posted: what follows on the card's side must not overtake

    async def read(self, name: str) -> int:
        return await self.root.read32(R.offset(name))


class LitepcieBench(Bench):
    """As ``Bench``, with the host behind LitePCIe; ``stock``: behind its own AXI slave, which ignores strobes."""

    def __init__(self, dut: Any, *, base: int = HIGH, stock: bool = False, **others: Any) -> None:
        self.root = Root(dut, random.Random(int(os.environ.get("VNETCARD_SEED", "1"))))
        self.stock = stock
        self.body = [bytearray(L.LINE), bytearray(L.LINE)]  # per memory: bytes written of the peer's block
        super().__init__(dut, bases=(base, CARD_BASE), **others)
        self.root.write, self.root.read = self._host_write, self._host_read

    def make_page(self, side: str) -> Page:
        return BarPage(self.dut, self.root) if side == "host" else super().make_page(side)

    def attach(self, memory: Memory) -> None:
        if memory.name == "card":
            super().attach(memory)

    def _host_write(self, address: int, data: bytes) -> None:
        host = self.memories[0]
        words = {self.directions[1].prod_line, self.directions[0].cons_line}
        if self.stock and address - host.base in words:
            data = data[:4]
        host.write(address, data)

    def _host_read(self, address: int, count: int) -> bytes:
        host = self.memories[0]
        at = host.inside(address, count)
        host.check_read(at, count)
        return bytes(host.bytes[at : at + count])

    def _on_write(self, side: int, at: int, data: bytes) -> None:
        """As in ``Bench``; bytes 8 to 63 of a side block may come in several TLPs, which are joined here."""
        block = L.side_offset(1 - side)
        if self.stock and block <= at < block + L.LINE:
            return
        if not block + 8 <= at < block + L.LINE:
            super()._on_write(side, at, data)
            return
        seen = self.body[side]
        seen[at - block : at - block + len(data)] = b"\x01" * len(data)
        if seen[8:] == b"\x01" * (L.LINE - 8):
            seen[:] = bytes(L.LINE)
            super()._on_write(side, block + 8, data.ljust(L.LINE - 8, b"\0")[: L.LINE - 8])

    async def reset(self) -> None:
        await super().reset()
        await ClockCycles(self.dut.clk_i, 20)  # LitePCIe fills its queue of tags

    async def wait_msi(self) -> None:
        """Wait for the next MSI."""
        while not self.root.msi.is_set():
            await RisingEdge(self.dut.clk_i)
        self.root.msi.clear()
