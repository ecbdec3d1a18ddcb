"""``python -m tests.hdl.litepcie_top KIND WIDTH FILE``: a bench around LitePCIe's core as Verilog.

The PHY is replaced by its two streams of TLPs, which are ports.  KIND is what is behind the core:

    slave     PCIeAXISlave, its AXI port as ``s_axi_*``
    engine    the engine behind PCIeAXISlave, its registers in BAR0, its MSI; the card's side as ports
    stock     as ``engine``, with LitePCIe's own ``LitePCIeAXISlave`` (32-bit addresses)

A program of its own, as Migen takes the names of signals from the frames that call it, and adds to global state.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from litepcie.common import get_bar_mask, msi_layout, phy_layout
from litepcie.core import LitePCIeEndpoint
from litepcie.frontend.axi import LitePCIeAXISlave
from litepcie.frontend.wishbone import LitePCIeWishboneMaster
from litex.gen import LiteXModule
from litex.gen.fhdl import verilog
from litex.soc.interconnect import axi, stream
from migen import ClockDomain, Signal

from tests.hdl.litepcie_tags import TAGS
from vnetcard.engine import registers as R
from vnetcard.hdl.litex import PCIeAXISlave, PCIeMSI, VnetcardDMA

TOP = "litepcie_top"
KINDS = ("slave", "engine", "stock")


class StreamPhy(LiteXModule):
    """What the core uses of a PHY."""

    endianness = "big"

    def __init__(self, width: int) -> None:
        self.data_width = width
        self.id = Signal(16)
        self.bar0_size = R.PAGE_BYTES
        self.bar0_mask = get_bar_mask(R.PAGE_BYTES)
        self.max_request_size = Signal(16)
        self.max_payload_size = Signal(16)
        self.source = stream.Endpoint(phy_layout(width))
        self.sink = stream.Endpoint(phy_layout(width))
        self.msi = stream.Endpoint(msi_layout())


class Top(LiteXModule):
    """The core, what is behind it, and their ports."""

    def __init__(self, kind: str, width: int, tags: int) -> None:
        self.ports: set[Any] = set()
        self.cd_sys = ClockDomain("sys")
        self.cd_sys.clk = self._port("clk_i")
        self.comb += self.cd_sys.rst.eq(~self._port("rst_ni"))
        self.phy = phy = StreamPhy(width)
        self.endpoint = LitePCIeEndpoint(
            phy, max_pending_requests=tags, endianness=phy.endianness, address_width=32 if kind == "stock" else 64
        )
        for name in ("id", "max_payload_size", "max_request_size"):
            self._input(f"phy_{name}", getattr(phy, name))
        self._stream("tx", phy.sink, ("dat", "be"), outward=True)
        self._stream("rx", phy.source, ("dat", "be"), outward=False)
        self._stream("msi", phy.msi, ("dat",), outward=True)
        if kind == "slave":
            self.slave = PCIeAXISlave(self.endpoint)
            self._input("enable", self.slave.enable)
            self._bus("s_axi", self.slave.axi, inward=True)
            return
        self.dma = dma = VnetcardDMA(data_width=width, burst_beats=min(256, 4096 * 8 // width))
        if kind == "engine":
            self.slave = PCIeAXISlave(self.endpoint)
        else:
            self.slave = LitePCIeAXISlave(self.endpoint, data_width=width, id_width=2)
        self.comb += dma.host_memory.connect(self.slave.axi)
        self.mmap = LitePCIeWishboneMaster(self.endpoint, address_decoder=lambda adr: adr[31] == 0)
        self.bar0 = axi.Wishbone2AXILite(self.mmap.wishbone, dma.host_page)
        self.msi = PCIeMSI(dma.irq_host)
        self.comb += self.msi.source.connect(phy.msi)
        self._output("irq_host_o", dma.irq_host)
        self._output("irq_card_o", dma.irq_card)
        self._bus("m_axi_card", dma.card_memory, inward=False)
        self._bus("s_axil_card", dma.card_page, inward=True)

    def _port(self, name: str, bits: int = 1) -> Any:
        port = Signal(bits, name=name)
        self.ports.add(port)
        return port

    def _input(self, name: str, signal: Any) -> None:
        self.comb += signal.eq(self._port(name, len(signal)))

    def _output(self, name: str, signal: Any) -> None:
        self.comb += self._port(name, len(signal)).eq(signal)

    def _stream(self, name: str, endpoint: Any, fields: tuple[str, ...], outward: bool) -> None:
        with_data, back = (self._output, self._input) if outward else (self._input, self._output)
        for field in ("valid", "first", "last", *fields):
            with_data(f"{name}_{field}", getattr(endpoint, field))
        back(f"{name}_ready", endpoint.ready)

    def _bus(self, name: str, bus: Any, inward: bool) -> None:
        """The ports of an AXI or AXI-Lite interface; ``inward``: they are those of a slave."""
        full = isinstance(bus, axi.AXIInterface)
        address = ("addr", "prot", *(("id", "len", "size", "burst", "cache") if full else ()))
        ident, last = (("id",), ("last",)) if full else ((), ())
        channels = {
            "aw": address, "w": ("data", "strb", *last), "b": ("resp", *ident),
            "ar": address, "r": ("data", "resp", *ident, *last),
        }  # fmt: skip
        for channel, fields in channels.items():
            endpoint = getattr(bus, channel)
            requests = channel in ("aw", "w", "ar")
            drive, back = (self._input, self._output) if requests == inward else (self._output, self._input)
            for field in ("valid", *fields):
                if full or not (field == "prot" and not hasattr(endpoint, "prot")):
                    drive(f"{name}_{channel}{field}", getattr(endpoint, field))
            back(f"{name}_{channel}ready", endpoint.ready)


def write(kind: str, width: int, file: Path, tags: int = TAGS) -> None:
    """Write the bench of ``kind`` at ``width`` bit to ``file``."""
    top = Top(kind, width, tags)
    verilog.convert(top, ios=top.ports, name=TOP).write(str(file))


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
