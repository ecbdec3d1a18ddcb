"""One MSI per rising edge of an interrupt line."""

from __future__ import annotations

from typing import Any

from litepcie.common import msi_layout
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Signal


class PCIeMSI(LiteXModule):
    """Requests MSI ``vector`` from a LitePCIe PHY at each rising edge of ``irq``; connect ``source`` to ``phy.msi``.
    ``edge`` is 1 for a cycle at each such edge.

    Unlike ``LitePCIeMSI`` it has no register that software must enable first, and sends nothing more while the line
    stays high.  An edge that comes before the PHY has taken the previous request is one with it: the handler, which
    reads irq_status until it is 0, runs after both.
    """

    def __init__(self, irq: Any, vector: int = 0) -> None:
        self.source = stream.Endpoint(msi_layout())
        self.edge = Signal()
        before, pending = Signal(), Signal()
        self.comb += [
            self.edge.eq(irq & ~before),
            self.source.valid.eq(pending),
            self.source.dat.eq(vector),
        ]
        self.sync += [before.eq(irq), If(self.source.ready, pending.eq(0)), If(self.edge, pending.eq(1))]
