"""Add the engine to a LiteX SoC that has a LitePCIe endpoint."""

from __future__ import annotations

from typing import Any

from litepcie.frontend.wishbone import LitePCIeWishboneMaster
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi, wishbone

from vnetcard.hdl.litex.axi_slave import PCIeAXISlave
from vnetcard.hdl.litex.dma import VnetcardDMA
from vnetcard.hdl.litex.msi import PCIeMSI
from vnetcard.hdl.vivado.interfaces import PAGE_BYTES


def add_vnetcard(
    soc: Any,
    endpoint: Any,
    *,
    name: str = "vnetcard",
    bar_offset: int = 0,
    page: int | None = None,
    memory: Any = None,
    msi: Any = None,
    burst_beats: int = 64,
    reads_max: int = 8,
) -> VnetcardDMA:
    """Add the engine to ``soc``, between its bus and the host behind ``endpoint``; return it.

    ``endpoint`` is a ``LitePCIeEndpoint`` with ``address_width=64``; its PHY's width is that of the engine.

    - The host's registers are the 4 KiB at ``bar_offset`` of BAR0.  They are not on the SoC's bus, so the host reaches
      nothing else through them.  The address decoder of another slave port of the crossbar must exclude them; that of
      ``soc.add_pcie`` accepts every address.
    - The card's registers are the region ``name`` of the SoC's bus, at ``page`` or where LiteX puts it.
    - The host's window is read and written through ``PCIeAXISlave``, while the PHY shows bus mastering enabled.
    - The card's window is in the SoC's memory: through ``memory``, an AXI slave interface as wide as the PHY (that of
      ``LiteDRAMAXI2Native``, say), or as a master of the SoC's bus, which is slow.
    - The card's interrupt is the event ``card`` of ``soc.NAME.ev``, connected to the CPU if there is one.
    - The host's is an MSI: the PHY's vector 0, or with ``msi``, an input of ``LitePCIeMSI.irqs``, a pulse on it.

    Raises ValueError when ``bar_offset`` is not a multiple of 4 KiB within BAR0, and as ``PCIeAXISlave`` does.
    """
    phy = endpoint.phy
    if bar_offset % PAGE_BYTES or not 0 <= bar_offset < phy.bar0_size:
        raise ValueError(
            f"add_vnetcard: bar_offset is {bar_offset:#x}: a multiple of {PAGE_BYTES:#x} below {phy.bar0_size:#x}, "
            "the size of BAR0, is needed"
        )
    slave = PCIeAXISlave(endpoint)
    dma = VnetcardDMA(soc.platform, data_width=phy.data_width, burst_beats=burst_beats, reads_max=reads_max)
    soc.add_module(name=name, module=dma)
    soc.add_module(name=f"{name}_axi", module=slave)
    soc.comb += dma.host_memory.connect(slave.axi)
    if hasattr(phy, "_bus_master_enable"):
        soc.comb += slave.enable.eq(phy._bus_master_enable.status)

    bar = LitePCIeWishboneMaster(endpoint, address_decoder=_decoder(bar_offset, phy.bar0_size))
    soc.add_module(name=f"{name}_bar", module=bar)
    soc.add_module(name=f"{name}_host_page", module=axi.Wishbone2AXILite(bar.wishbone, dma.host_page))
    soc.bus.add_slave(name, dma.card_page, SoCRegion(origin=page, size=PAGE_BYTES, cached=False))

    if memory is not None:
        soc.comb += dma.card_memory.connect(memory)
    else:
        _add_master(soc, name, dma.card_memory)

    if getattr(soc, "irq", None) is not None and soc.irq.enabled:
        soc.irq.add(name, use_loc_if_exists=True)

    interrupt = PCIeMSI(dma.irq_host)
    soc.add_module(name=f"{name}_msi", module=interrupt)
    soc.comb += interrupt.source.connect(phy.msi) if msi is None else msi.eq(interrupt.edge)
    return dma


def _decoder(offset: int, size: int) -> Any:
    """The address decoder of a 4 KiB page at ``offset`` of a BAR; LitePCIe gives it the address within the BAR."""
    first, stop = PAGE_BYTES.bit_length() - 1, size.bit_length() - 1
    if first == stop:
        return lambda address: address[stop] == 0
    return lambda address: address[first:stop] == offset >> first


def _add_master(soc: Any, name: str, master: Any) -> None:
    """Make an AXI master with 64-bit addresses a Wishbone master of the SoC's bus, at its width."""
    bits, address_width = master.data_width, soc.bus.address_width
    narrow = axi.AXIInterface(data_width=bits, address_width=address_width, id_width=master.id_width)
    bus = wishbone.Interface(data_width=bits, address_width=address_width, addressing="word")
    soc.comb += master.connect(narrow)
    soc.add_module(name=f"{name}_wishbone", module=axi.AXI2Wishbone(narrow, bus))
    soc.bus.add_master(name=f"{name}_dma", master=bus)
