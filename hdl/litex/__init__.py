"""The DMA engine in a LiteX SoC, and an AXI slave on LitePCIe; needs the extra ``litex``.

    VnetcardDMA        the engine as a LiteX module: its buses, its interrupts, its sources
    PCIeAXISlave       an AXI4 slave whose memory is the host's, on two ports of LitePCIe's crossbar
    PCIeMSI            one MSI per rising edge of an interrupt line
    add_vnetcard       all of them, connected to a SoC that has a LitePCIe endpoint

Written for LiteX and LitePCIe 2024.12.
"""

from vnetcard.hdl.litex.axi_slave import PCIeAXISlave
from vnetcard.hdl.litex.dma import VnetcardDMA
from vnetcard.hdl.litex.msi import PCIeMSI
from vnetcard.hdl.litex.soc import add_vnetcard

__all__ = ["PCIeAXISlave", "PCIeMSI", "VnetcardDMA", "add_vnetcard"]
