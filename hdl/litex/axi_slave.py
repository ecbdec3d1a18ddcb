"""An AXI4 slave whose memory is the host's, on two ports of LitePCIe's crossbar."""

from __future__ import annotations

from typing import Any

from litex.gen import LiteXModule
from litex.soc.interconnect.axi import AXIInterface
from migen import Signal

from vnetcard.hdl.litex.axi_read import PCIeAXIRead
from vnetcard.hdl.litex.axi_write import PCIeAXIWrite

WIDTHS = (64, 128, 256, 512)


class PCIeAXISlave(LiteXModule):
    """Reads and writes of an AXI4 master as memory TLPs of a LitePCIe endpoint.

    ``axi`` is the slave: as wide as the endpoint's PHY (64 to 512 bit), 64-bit addresses, full-width INCR bursts that
    do not cross 4 KiB.  Any other burst is answered with SLVERR, and so is every burst while ``enable`` (a signal, 1
    unless driven) is 0.

    Writes: strobes become byte enables; a TLP is at most the PHY's maximum payload size.  B means that the TLPs were
    sent: PCIe acknowledges no write, so a write that the host rejects is lost without an error.  Writes stay in
    order, and a read requested after B stays behind that write.

    Reads: as many requests as the endpoint has tags, each at most the PHY's maximum read request size; R has the order
    of AR.  A completion with the status UR or CA, a poisoned or a short one gives SLVERR.  A read without completion
    is outstanding for ever; LitePCIe has no completion time-out.

    Raises ValueError unless the endpoint has 64-bit addresses and a supported width.
    """

    def __init__(self, endpoint: Any, id_width: int = 2) -> None:
        width, address_width = endpoint.phy.data_width, endpoint.crossbar.address_width
        if width not in WIDTHS:
            raise ValueError(f"PCIeAXISlave: the PHY is {width} bit wide; supported are {', '.join(map(str, WIDTHS))}")
        if address_width != 64:
            raise ValueError(f"PCIeAXISlave: the endpoint has {address_width}-bit addresses: give it address_width=64")
        self.axi = AXIInterface(data_width=width, address_width=64, id_width=id_width)
        self.enable = Signal(reset=1)
        self.write = PCIeAXIWrite(endpoint, self.axi, self.enable)
        self.read = PCIeAXIRead(endpoint, self.axi, self.enable)
