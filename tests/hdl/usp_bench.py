"""The bench around the UltraScale+ bridge: cocotbext-pcie's models of the integrated block and of a root complex."""

from __future__ import annotations

import logging
import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, ReadOnly, RisingEdge, Timer
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteRam, AxiMaster, AxiResp, AxiStreamBus
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.port import SimPort
from cocotbext.pcie.core.tlp import Tlp, TlpType
from cocotbext.pcie.xilinx.us import UltraScalePlusPcieDevice

from tests.hdl.bench import stalls

HIGH = 0x1_0000_0000
"""Host memory from this address on needs TLPs with 64-bit addresses."""
BAR_BYTES = 16384
"""Size of BAR0, of which only the first 4 KiB exist."""
WAIT_US = 400
"""Microseconds in which a transfer must end."""
SIGNALS = (
    *("pcie_rq_seq_num0", "pcie_rq_seq_num_vld0", "pcie_rq_seq_num1", "pcie_rq_seq_num_vld1", "pcie_cq_np_req"),
    *("cfg_max_payload", "cfg_max_read_req", "cfg_function_status"),
    *("cfg_interrupt_msi_enable", "cfg_interrupt_msi_int", "cfg_interrupt_msi_sent", "cfg_interrupt_msi_fail"),
)
"""Signals of the block besides its four streams."""
STREAMS = ("s_axis_rq", "m_axis_rc", "m_axis_cq", "s_axis_cc")
RAW_ID = 3
"""The AXI id of ``raw_write``."""
CREDITS = [64, 1024, 64, 64, 64, 1024]
"""Credits of the root port: headers and data of posted requests, of non-posted ones, and of completions."""
SCARCE = [2, 80, 1, 1, 64, 1024]
"""As few of them as TLPs of 1 KiB need."""


def quiet(*models: Any) -> None:
    """Log no single TLP."""
    for model in models:
        model.log.setLevel(logging.ERROR)


class Block:
    """The integrated block and the host behind it, connected to the bridge ``dut``.

    ``payload`` and ``request`` select the maximum payload and read request size of 128 << n bytes.
    """

    def __init__(
        self, dut: Any, rng: random.Random, *, payload: int = 1, request: int = 2, credits_: list[int] = CREDITS
    ) -> None:
        self.dut, self.rng, self.payload, self.request = dut, rng, payload, request
        self.width = len(dut.s_axis_rq_tdata)
        self.root = RootComplex()
        self.root.max_payload_size = self.root.max_payload_size_supported = payload
        streams = {f"{name[-2:]}_bus": AxiStreamBus.from_prefix(dut, name) for name in STREAMS}
        logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)
        self.device = UltraScalePlusPcieDevice(
            pcie_generation=3,
            pcie_link_width=8 if self.width == 256 else 16,
            user_clk_frequency=250e6,
            max_payload_size=1024,
            pf0_msi_enable=True,
            user_clk=dut.clk_i,
            **streams,
            **{name: getattr(dut, name) for name in SIGNALS},
        )
        self.function = self.device.functions[0]
        self.function.configure_bar(0, BAR_BYTES)
        self.function.configure_bar(1, 4096)
        self.function.configure_bar(2, 256, io=True)
        port = self.root.make_port()
        port.connect(self.device)
        for channel in (port if isinstance(port, SimPort) else port.downstream_port).fc_state:
            kinds = (channel.ph, channel.pd, channel.nph, channel.npd, channel.cplh, channel.cpld)
            for kind, count in zip(kinds, credits_, strict=True):
                kind.rx_initial_allocation = kind.rx_credits_allocated = count
        self.streams = [self.device.rq_sink, self.device.rc_source, self.device.cq_source, self.device.cc_sink]
        quiet(self.root, self.root.upstream_bridge, *self.root.endpoints, self.device, self.function, *self.streams)
        self.msi = Event()
        self.interrupts = 0
        self.sent: list[Tlp] = []  # TLPs of the card in the order in which they leave the block
        self._send = self.device.upstream_port.send
        self.device.upstream_port.send = self._record

    async def _record(self, tlp: Tlp) -> None:
        self.sent.append(tlp)
        await self._send(tlp)

    async def boot(self) -> None:
        """Reset, enumerate and enable the device, as a host does."""
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, 8)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 4)
        await self.root.enumerate()
        self.endpoint = self.root.find_device(self.function.pcie_id)
        await self.endpoint.enable_device()
        await self.endpoint.set_master()
        await self.endpoint.set_readrq(self.request)
        self.bar0 = self.endpoint.bar_window[0]
        assert await self.endpoint.alloc_irq_vectors(1, 1) == 1

        async def interrupt() -> None:
            self.interrupts += 1
            self.msi.set()

        self.endpoint.request_irq(0, interrupt)
        await ClockCycles(self.dut.clk_i, 20)  # the block shows what was configured
        self.sent.clear()

    def stall(self, busy: float) -> None:
        """Stall each stream of the block for the share ``busy`` of the time."""
        for stream in self.streams:
            stall(stream, self.rng, busy)

    def delay_reads(self, most_ns: int) -> None:
        """Delay each read by up to ``most_ns``: completions of different requests are reordered and interleaved."""

        async def later(tlp: Tlp) -> None:
            await Timer(self.rng.randrange(1, most_ns), "ns")
            await self.root.handle_mem_read_tlp(tlp)

        async def handle(tlp: Tlp) -> None:
            cocotb.start_soon(later(tlp))

        self.on_read(handle)

    def on_read(self, handler: Any) -> None:
        """Let ``handler`` answer the reads of the card."""
        for kind in (TlpType.MEM_READ, TlpType.MEM_READ_64):
            self.root.register_rx_tlp_handler(kind, handler)

    def writes(self) -> list[Tlp]:
        return [tlp for tlp in self.sent if tlp.fmt_type in (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)]

    def reads(self) -> list[Tlp]:
        return [tlp for tlp in self.sent if tlp.fmt_type in (TlpType.MEM_READ, TlpType.MEM_READ_64)]


def stall(channel: Any, rng: random.Random, busy: float) -> None:
    """Stall one channel for the share ``busy`` of the time."""
    channel.clear_pause_generator()
    channel.pause = False
    if busy:
        channel.set_pause_generator(stalls(random.Random(rng.random()), busy))


async def hold_reset(dut: Any) -> None:
    """Reset before the models begin: they would take random bits of registers for requests."""
    dut.rst_ni.value = 0
    await Timer(1, "ns")  # the first edge must see it
    clock = Clock(dut.clk_i, 4, unit="ns")
    clock.start()
    await ClockCycles(dut.clk_i, 4)
    clock.stop()


class BridgeBench:
    """The bridge alone: an AXI master and a RAM as registers where the engine would be; call ``make``."""

    def __init__(self, dut: Any, *, memory: int = 65536, high: bool = True, **block: Any) -> None:
        self.rng = random.Random(int(os.environ.get("VNETCARD_SEED", "1")))
        self.dut = dut
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.block = Block(dut, self.rng, **block)
        root = self.block.root
        pool = root.mem_address_space.create_pool(HIGH, HIGH) if high else root.mem_pool
        self.memory = pool.alloc_region(memory)
        self.base = self.memory.get_absolute_address(0)
        clock = (dut.clk_i, dut.rst_ni)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), *clock, reset_active_level=False)
        self.registers = AxiLiteRam(AxiLiteBus.from_prefix(dut, "m_axil"), *clock, reset_active_level=False, size=4096)

    @classmethod
    async def make(cls, dut: Any, **options: Any) -> BridgeBench:
        """Return a bench whose device is enabled; stalled when the run is a stalled one (VNETCARD_STALL)."""
        dut.irq_i.value = 0
        await hold_reset(dut)
        bench = cls(dut, **options)
        await bench.block.boot()
        if os.environ.get("VNETCARD_STALL") == "stalled":
            bench.stall(bench.rng.choice((0.1, 0.3, 0.5)))
        return bench

    def stall(self, busy: float) -> None:
        self.block.stall(busy)
        write, read = self.master.write_if, self.master.read_if
        axil = self.registers.write_if, self.registers.read_if
        for side in (write, axil[0]):
            for channel in (side.aw_channel, side.w_channel, side.b_channel):
                stall(channel, self.rng, busy)
        for side in (read, axil[1]):
            for channel in (side.ar_channel, side.r_channel):
                stall(channel, self.rng, busy)

    def peek(self, offset: int, count: int) -> bytes:
        """Return bytes of the host's memory at once."""
        return bytes(self.memory.mem[offset : offset + count])

    def poke(self, offset: int, data: bytes) -> None:
        self.memory.mem[offset : offset + len(data)] = data

    async def wait(self, operation: Any) -> Any:
        """Wait for an operation of the AXI master and return its response."""
        for _ in range(WAIT_US * 4):
            if operation.is_set():
                return operation.data
            await Timer(250, "ns")
        raise AssertionError(f"an AXI transfer does not end within {WAIT_US} us")

    def begin_write(self, offset: int, data: bytes) -> Any:
        return self.master.init_write(self.base + offset, data, awid=self.rng.randrange(RAW_ID))

    def begin_read(self, offset: int, count: int) -> Any:
        return self.master.init_read(self.base + offset, count, arid=self.rng.randrange(RAW_ID + 1))

    async def write(self, offset: int, data: bytes) -> AxiResp:
        return AxiResp((await self.wait(self.begin_write(offset, data))).resp)

    async def read(self, offset: int, count: int) -> tuple[bytes, AxiResp]:
        done = await self.wait(self.begin_read(offset, count))
        return done.data, AxiResp(done.resp)

    async def raw_write(self, offset: int, beats: list[tuple[bytes, int]]) -> AxiResp:
        """Write one burst of ``beats`` (data, strobes) that begins with the beat at ``offset``; return its response."""
        side = self.master.write_if
        side.active_id[RAW_ID] += 1  # else the master objects to its B
        aw = side.aw_channel._transaction_obj()
        aw.awid, aw.awaddr, aw.awlen = RAW_ID, self.base + offset, len(beats) - 1
        aw.awsize, aw.awburst = (self.block.width // 8).bit_length() - 1, 1
        await side.aw_channel.send(aw)
        answer = cocotb.start_soon(self._raw_answer())
        for n, (data, strobes) in enumerate(beats):
            w = side.w_channel._transaction_obj()
            w.wdata, w.wstrb, w.wlast = int.from_bytes(data, "little"), strobes, n == len(beats) - 1
            await side.w_channel.send(w)
        return await answer

    async def _raw_answer(self) -> AxiResp:
        dut = self.dut
        for _ in range(WAIT_US * 250):
            await RisingEdge(dut.clk_i)
            await ReadOnly()
            if dut.s_axi_bvalid.value and dut.s_axi_bready.value and int(dut.s_axi_bid.value) == RAW_ID:
                return AxiResp(int(dut.s_axi_bresp.value))
        raise AssertionError("no B")
