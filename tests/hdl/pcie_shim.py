"""A model of the bridge between a PCIe link and the engine: one endpoint with BAR0, DMA and MSI.

On a board this is an existing bridge core (XDMA in AXI bridge mode, LitePCIe, ...); this model is not synthesizable,
and figures measured with it do not apply to a board.

    root complex model <== TLPs ==> PcieShim ---> s_axil_host    BAR0: memory reads and writes of 4 bytes
                                             <--- m_axi_host     bursts become memory TLPs, split as PCIe demands
                                             <--- irq_host_o     its rising edge becomes an MSI

Three properties hold for any such bridge, and software and RTL must allow for them:

- A PCIe write is *posted*: it is not acknowledged.  B means that the TLP was sent, and "the index after its bytes"
  relies on posted writes that do not overtake each other, so the shim never sets Relaxed Ordering.  A write that
  the root complex rejects is lost without an error; a failed read is reported.
- The interrupt line is a level, an MSI an edge.  A handler that has cleared irq_status must read it once more
  before it returns: an event in between keeps the line high, and no second edge follows.
- A burst of up to 4 KiB becomes several TLPs, and its read data comes back in several completions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlaveRead, AxiSlaveWrite
from cocotbext.pcie.core import Device, MemoryEndpoint
from cocotbext.pcie.core.caps import MsiCapability

from vnetcard.engine import registers as R

VENDOR, DEVICE = 0x1234, 0x4E43
"""Unregistered ids: a vendor id that is not assigned, and ``NC``."""


class Function(MemoryEndpoint):
    """The one function of the device: BAR0 is the host's register page."""

    def __init__(self, page: AxiLiteMaster) -> None:
        super().__init__()
        self.vendor_id, self.device_id, self.class_code = VENDOR, DEVICE, 0x028000  # network controller, other
        self.msi = MsiCapability()
        self.msi.msi_64bit_address_capable = 1
        self.register_capability(self.msi)
        self.sent_tlps: list[int] = []  # data bytes of each memory write TLP sent

        async def read(offset: int, count: int) -> bytes:
            return bytes((await page.read(offset, count)).data)

        self._writes = page.write_if
        self.add_mem_region(R.PAGE_BYTES, read)

    async def handle_mem_write_tlp(self, tlp: Any) -> None:
        """Forward each dword as one write whose strobes are the byte enables."""
        bar = self.match_bar(tlp.address)
        if not bar:
            return  # posted: no error can be reported
        _, at = bar
        for n in range(tlp.length):
            aw, w = (channel._transaction_obj() for channel in (self._writes.aw_channel, self._writes.w_channel))
            aw.awaddr, aw.awprot = at + 4 * n, 2
            w.wdata = int.from_bytes(tlp.data[4 * n : 4 * n + 4], "little")
            w.wstrb = tlp.first_be if n == 0 else tlp.last_be if n == tlp.length - 1 else 0xF
            await self._writes.aw_channel.send(aw)
            await self._writes.w_channel.send(w)
            await self._writes.b_channel.recv()

    async def perform_posted_operation(self, req: Any) -> None:
        assert not req.attr, "a write with relaxed ordering"
        self.sent_tlps.append(4 * req.length)
        await super().perform_posted_operation(req)


class DmaRead(AxiSlaveRead):
    """Converts AR to memory read TLPs, several bursts at a time; R beats follow in the order of AR."""

    OUTSTANDING = 8

    def __init__(self, bus: Any, clock: Any, reset: Any, function: Function) -> None:
        self.function = function
        self.outstanding: Queue[tuple[Any, Any]] = Queue(self.OUTSTANDING)
        super().__init__(bus, clock, reset, reset_active_level=False)
        cocotb.start_soon(self._answer())

    async def _process_read(self) -> None:
        while True:
            ar = await self.ar_channel.recv()
            count = (int(ar.arlen) + 1) * self.byte_lanes
            address = int(ar.araddr)
            assert int(ar.arburst) == 1 and 1 << int(ar.arsize) == self.byte_lanes
            assert address % 4096 + count <= 4096, "a burst across 4 KiB"
            await self.outstanding.put((ar, cocotb.start_soon(self._fetch(address, count))))

    async def _fetch(self, address: int, count: int) -> bytes | None:
        """Return the bytes; None when a completion has the status UR or CA, or bus mastering is off."""
        try:
            return bytes(await self.function.mem_read(address, count))
        except Exception as error:  # cocotbext-pcie raises nothing more specific
            if str(error) not in ("Unsuccessful completion", "Bus mastering not enabled"):
                raise
            return None

    async def _answer(self) -> None:
        while True:
            ar, fetching = await self.outstanding.get()
            data = await fetching
            for n in range(int(ar.arlen) + 1):
                r = self.r_channel._transaction_obj()
                r.rid, r.rlast = int(ar.arid), n == int(ar.arlen)
                r.rresp = AxiResp.OKAY if data is not None else AxiResp.SLVERR
                beat = (data or b"")[n * self.byte_lanes : (n + 1) * self.byte_lanes]
                r.rdata = int.from_bytes(beat, "little")
                await self.r_channel.send(r)


class DmaWrite(AxiSlaveWrite):
    """Converts a burst to memory write TLPs, one per run of enabled bytes, split at the maximum payload size."""

    def __init__(self, bus: Any, clock: Any, reset: Any, function: Function) -> None:
        self.function = function
        super().__init__(bus, clock, reset, reset_active_level=False)

    async def _process_write(self) -> None:
        while True:
            aw = await self.aw_channel.recv()
            data, enabled = bytearray(), bytearray()
            for n in range(int(aw.awlen) + 1):
                w = await self.w_channel.recv()
                assert int(w.wlast) == (n == int(aw.awlen)), "WLAST"
                data += int(w.wdata).to_bytes(self.byte_lanes, "little")
                enabled += bytes(int(w.wstrb) >> lane & 1 for lane in range(self.byte_lanes))
            start = int(aw.awaddr) // self.byte_lanes * self.byte_lanes
            assert start % 4096 + len(data) <= 4096, "a burst across 4 KiB"
            b = self.b_channel._transaction_obj()
            b.bid, b.bresp = int(aw.awid), AxiResp.OKAY
            if self.function.bus_master_enable:
                for first, stop in runs(enabled):
                    await self.function.mem_write(start + first, bytes(data[first:stop]))
            else:
                b.bresp = AxiResp.SLVERR
            await self.b_channel.send(b)


def runs(enabled: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield first and stop of each run of ones."""
    at = 0
    while (first := enabled.find(1, at)) >= 0:
        stop = enabled.find(0, first)
        at = stop if stop >= 0 else len(enabled)
        yield first, at


class PcieShim(Device):
    """The device to connect to a root complex; ``dut`` is the engine."""

    def __init__(self, dut: Any) -> None:
        super().__init__()
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # cocotbext logs each burst
        clock = (dut.clk_i, dut.rst_ni)
        self.page = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil_host"), *clock, reset_active_level=False)
        self.function = Function(self.page)
        self.append_function(self.function)
        bus = AxiBus.from_prefix(dut, "m_axi_host")
        self.read = DmaRead(bus.read, *clock, self.function)
        self.write = DmaWrite(bus.write, *clock, self.function)
        self.interrupts = 0
        for model in (self.upstream_port, self.function):
            model.log.setLevel(logging.ERROR)  # these log each TLP
        cocotb.start_soon(self._interrupt(dut.irq_host_o))

    async def _interrupt(self, line: Any) -> None:
        while True:
            await RisingEdge(line)
            if self.function.msi.msi_enable and self.function.bus_master_enable:
                self.interrupts += 1
                await self.function.msi.issue_msi_interrupt()
