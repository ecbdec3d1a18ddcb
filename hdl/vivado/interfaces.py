"""The ports and parameters of ``vnc_dma_top`` as Vivado is to see them: names, interfaces, and what may be set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RTL: Final = Path(__file__).parents[1] / "rtl"
BUSES: Final = ("s_axil_host", "s_axil_card", "m_axi_host", "m_axi_card")
PAGE_BYTES: Final = 4096
"""Size of the register page behind each AXI4-Lite slave."""

_PORT: Final = re.compile(r"^  (input|output)\s+logic\s+(\[[^\]]+\])?\s*(\w+),?$", re.MULTILINE)
_BITS: Final = re.compile(r"\[(?:(?P<high>\d+)|DataW(?:/(?P<divisor>\d+))?-1):0\]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of ``vnc_dma_top``: default, admitted values (those of every ``DataW``), and its title."""

    default: int
    values: tuple[int, ...]
    title: str


PARAMETERS: Final = {
    "DataW": Parameter(64, (64, 128, 256, 512), "Width of both AXI4 masters (bits)"),
    "BurstBeats": Parameter(64, (8, 16, 32, 64, 128, 256), "Longest burst (beats)"),
    "ReadsMax": Parameter(8, (2, 4, 8, 16, 32, 64), "Outstanding bursts of a direction"),
}
"""By name; ``Queues`` has one value only."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of the catalog ``xilinx.com``: library and kind (``interface``, ``aximm``), name, parameters."""

    library: str
    kind: str
    name: str
    parameters: dict[str, str]
    master: bool

    @property
    def vlnv(self) -> str:
        """Vendor, library, name and version of its bus type."""
        return f"xilinx.com:{self.library}:{self.kind}:1.0"


_LITE: Final = {"PROTOCOL": "AXI4LITE", "DATA_WIDTH": "32", "ADDR_WIDTH": "12"}
_FULL: Final = {"PROTOCOL": "AXI4", "ADDR_WIDTH": "64", "ID_WIDTH": "2", "SUPPORTS_NARROW_BURST": "0"}
_CLOCK: Final = {"ASSOCIATED_BUSIF": ":".join(BUSES), "ASSOCIATED_RESET": "aresetn"}
_LEVEL: Final = {"SENSITIVITY": "LEVEL_HIGH"}
INTERFACES: Final = (
    Interface("signal", "clock", "aclk", _CLOCK, master=False),
    Interface("signal", "reset", "aresetn", {"POLARITY": "ACTIVE_LOW"}, master=False),
    Interface("signal", "interrupt", "irq_host", _LEVEL, master=True),
    Interface("signal", "interrupt", "irq_card", _LEVEL, master=True),
    *(
        Interface("interface", "aximm", bus, _FULL if bus.startswith("m_") else _LITE, master=bus.startswith("m_"))
        for bus in BUSES
    ),
)
"""In the order of the ports."""

_SIGNALS: Final = {"clk_i": ("aclk", "CLK"), "rst_ni": ("aresetn", "RST")}
_SIGNALS_OUT: Final = {"irq_host_o": ("irq_host", "INTERRUPT"), "irq_card_o": ("irq_card", "INTERRUPT")}
_PLAIN: Final = _SIGNALS | _SIGNALS_OUT
"""Ports outside the buses: their names in Verilog, those that Vivado's users expect, and their logical signals."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of ``vnc_dma_top``; ``bits`` is its range as written, or ''."""

    output: bool
    bits: str
    name: str

    @property
    def interface(self) -> Interface:
        """The interface to which it belongs."""
        plain = _PLAIN.get(self.name)
        return next(
            one
            for one in INTERFACES
            if (one.name == plain[0] if plain else one.kind == "aximm" and self.name.startswith(f"{one.name}_"))
        )

    @property
    def signal(self) -> str:
        """The logical name of the signal in its interface."""
        plain = _PLAIN.get(self.name)
        return plain[1] if plain else self.name.removeprefix(f"{self.interface.name}_").upper()

    @property
    def outer(self) -> str:
        """Its name in the wrapper."""
        plain = _PLAIN.get(self.name)
        return plain[0] if plain else self.name

    @property
    def divisor(self) -> int | None:
        """Its width is ``DataW`` divided by this; None for a width that does not depend on ``DataW``."""
        found = _BITS.fullmatch(self.bits)
        return None if found is None or found["high"] else int(found["divisor"] or 1)

    def width(self, data_w: int) -> int:
        """Its width in bits where ``DataW`` is ``data_w``."""
        if self.divisor is not None:
            return data_w // self.divisor
        found = _BITS.fullmatch(self.bits)
        return int(found["high"]) + 1 if found else 1


def ports() -> list[Port]:
    """The ports of ``vnc_dma_top``, in order.

    Raises ValueError: a range that is neither constant nor ``DataW``, over a divisor or not.
    """
    source = (RTL / "vnc_dma_top.sv").read_text()
    head = source[source.index("module vnc_dma_top") : source.index(");\n  vnc_engine")]
    found = [Port(kind == "output", bits or "", name) for kind, bits, name in _PORT.findall(head)]
    for port in found:
        if port.bits and not _BITS.fullmatch(port.bits):
            raise ValueError(f"vnc_dma_top.sv: {port.name} has the range {port.bits}: write [N:0] or [DataW/N-1:0]")
    return found


def sources() -> list[str]:
    """Names of the files in ``rtl/``, in the order of compilation."""
    lines = (RTL / "files.f").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("//")]
