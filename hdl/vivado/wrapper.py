"""``vnc_dma.v``: the engine's ports in Verilog-2001, with the attributes by which Vivado finds its interfaces.

A block design takes no SystemVerilog as a module reference, and it connects interfaces, not ports.  The attributes are
those of AMD's UG994, "List of Supported X_ Attributes".  ``text`` makes the file from the ports of ``vnc_dma_top.sv``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RTL: Final = Path(__file__).parents[1] / "rtl"
FILE: Final = Path(__file__).with_name("vnc_dma.v")
BUSES: Final = ("s_axil_host", "s_axil_card", "m_axi_host", "m_axi_card")
PARAMETERS: Final = {"DataW": 64, "BurstBeats": 64, "ReadsMax": 8}
"""Names and defaults, those of ``vnc_dma_top``; ``Queues`` has one value only."""
PLAIN: Final = {"clk_i": "aclk", "rst_ni": "aresetn", "irq_host_o": "irq_host", "irq_card_o": "irq_card"}
"""Ports outside the buses: their names in SystemVerilog, and in Verilog those that Vivado's users expect."""

_PORT: Final = re.compile(r"^  (input|output)\s+logic\s+(\[[^\]]+\])?\s*(\w+),?$", re.MULTILINE)
_LITE: Final = "PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 12"
_FULL: Final = "PROTOCOL AXI4, ADDR_WIDTH 64, ID_WIDTH 2, SUPPORTS_NARROW_BURST 0"
_HEAD: Final = """\
// SPDX-License-Identifier: MIT
//
// vnc_dma: vnc_dma_top for a block design of Vivado, in Verilog-2001.
//
// Made by `python -m vnetcard.hdl.vivado` from the ports of vnc_dma_top; do not edit.

"""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of ``vnc_dma_top``; ``bits`` is its range as written, or ''."""

    output: bool
    bits: str
    name: str

    @property
    def bus(self) -> str | None:
        """The bus to which it belongs, or None."""
        return next((bus for bus in BUSES if self.name.startswith(f"{bus}_")), None)

    @property
    def outer(self) -> str:
        """Its name in the wrapper."""
        return PLAIN.get(self.name, self.name)


def ports() -> list[Port]:
    """The ports of ``vnc_dma_top``, in order."""
    source = (RTL / "vnc_dma_top.sv").read_text()
    head = source[source.index("module vnc_dma_top") : source.index(");\n  vnc_engine")]
    return [Port(kind == "output", bits or "", name) for kind, bits, name in _PORT.findall(head)]


def text() -> str:
    """The wrapper."""
    found = ports()
    parameters = ",\n".join(f"  parameter {name} = {value}" for name, value in PARAMETERS.items())
    seen: set[str] = set()
    rows = []
    for port in found:
        parameter = _parameter(port) if port.bus is None or port.bus not in seen else ""
        seen.add(port.bus or "")
        rows.append(f"{_attributes(port, parameter)}  {'output' if port.output else 'input '} wire {_of(port)}")
    given = ", ".join(f".{name}({name})" for name in PARAMETERS)
    wires = ",\n".join(f"    .{port.name}({port.outer})" for port in found)
    return (
        f"{_HEAD}module vnc_dma #(\n{parameters}\n) (\n" + ",\n".join(rows) + "\n);\n"
        f"  vnc_dma_top #({given}) i_top (\n{wires}\n  );\nendmodule\n"
    )


def _of(port: Port) -> str:
    return f"{port.bits} {port.outer}" if port.bits else port.outer


def _attributes(port: Port, parameter: str) -> str:
    if port.bus is not None:
        info = f"xilinx.com:interface:aximm:1.0 {port.bus} {port.name.removeprefix(f'{port.bus}_').upper()}"
    else:
        kind, signal = {"aclk": ("clock", "CLK"), "aresetn": ("reset", "RST")}.get(
            port.outer, ("interrupt", "INTERRUPT")
        )
        info = f"xilinx.com:signal:{kind}:1.0 {port.outer} {signal}"
    rows = [f'  (* X_INTERFACE_INFO = "{info}" *)\n']
    if parameter:
        name = port.bus or port.outer
        rows.append(f'  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {name}, {parameter}" *)\n')
    return "".join(rows)


def _parameter(port: Port) -> str:
    if port.bus is not None:
        return _LITE if "axil" in port.bus else _FULL
    return {
        "aclk": f"ASSOCIATED_BUSIF {':'.join(BUSES)}, ASSOCIATED_RESET aresetn",
        "aresetn": "POLARITY ACTIVE_LOW",
    }.get(port.outer, "SENSITIVITY LEVEL_HIGH")
