"""The DMA engine as a LiteX module."""

from __future__ import annotations

import re
from typing import Any, Final

from litex.gen import LiteXModule
from litex.soc.interconnect.axi import AXIInterface, AXILiteInterface
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal, Signal

from vnetcard.hdl.vivado.interfaces import RTL, ports, sources

_CHANNEL: Final = re.compile(r"(aw|ar|w|b|r)(\w+)")


class VnetcardDMA(LiteXModule):
    """``vnc_dma_top``: one register page and one memory master per side, and an interrupt for each.

    ===============  ===================================================================================
    ``host_page``    AXI4-Lite slave, 32 bit, 4 KiB: the host's registers
    ``card_page``    the same for the card
    ``host_memory``  AXI4 master, ``data_width`` bit, 64-bit addresses, 2-bit ids: the host's window
    ``card_memory``  the same for the card's window
    ``irq_host``     level, high until the host clears ``irq_status``
    ``irq_card``     the same for the card; ``ev`` connects it to the SoC's interrupt controller
    ===============  ===================================================================================

    ``burst_beats`` is the longest burst (a power of two up to 256), ``reads_max`` the number of bursts between the
    address of a read and its write (2 to 64).  Everything runs in the clock domain ``sys``; with ``platform`` the
    engine's sources are added to it.
    """

    def __init__(
        self, platform: Any = None, *, data_width: int = 64, burst_beats: int = 64, reads_max: int = 8
    ) -> None:
        self.data_width = data_width
        self.host_page, self.card_page = (AXILiteInterface(data_width=32, address_width=32) for _ in range(2))
        self.host_memory, self.card_memory = (
            AXIInterface(data_width=data_width, address_width=64, id_width=2) for _ in range(2)
        )
        self.irq_host, self.irq_card = Signal(), Signal()
        self.ev = EventManager()
        self.ev.card = EventSourceLevel(description="The engine's interrupt of the card's side.")
        self.ev.finalize()
        self.comb += self.ev.card.trigger.eq(self.irq_card)

        buses = {
            "s_axil_host": self.host_page,
            "s_axil_card": self.card_page,
            "m_axi_host": self.host_memory,
            "m_axi_card": self.card_memory,
        }
        plain = {
            "clk_i": ClockSignal("sys"),
            "rst_ni": ~ResetSignal("sys"),
            "irq_host_o": self.irq_host,
            "irq_card_o": self.irq_card,
        }
        wires = {"p_DataW": data_width, "p_BurstBeats": burst_beats, "p_ReadsMax": reads_max}
        for port in ports():
            bus = next((name for name in buses if port.name.startswith(f"{name}_")), None)
            signal = plain[port.name] if bus is None else _signal(buses[bus], port.name.removeprefix(f"{bus}_"))
            wires[f"{'o' if port.output else 'i'}_{port.name}"] = signal
        self.specials += Instance("vnc_dma_top", **wires)
        if platform is not None:
            self.add_sources(platform)

    @staticmethod
    def add_sources(platform: Any) -> None:
        """Add the engine's files to ``platform``, in the order of compilation."""
        for name in sources():
            platform.add_source(str(RTL / name), language="systemverilog")


def _signal(bus: Any, name: str) -> Any:
    """The signal of ``bus`` that has the AXI name ``name``; of an address on a register page its 12 bits."""
    match = _CHANNEL.fullmatch(name)
    assert match is not None, name
    channel, field = match.groups()
    signal = getattr(getattr(bus, channel), field)
    return signal[:12] if isinstance(bus, AXILiteInterface) and field == "addr" else signal
