"""``vnc_dma.v``: the engine's ports in Verilog-2001, with the attributes by which Vivado finds its interfaces.

A block design takes no SystemVerilog as a module reference, and it connects interfaces, not ports.  The attributes are
those of AMD's UG994, "List of Supported X_ Attributes".  ``text`` makes the file from the ports of ``vnc_dma_top.sv``.
"""

from __future__ import annotations

from typing import Final

from vnetcard.hdl.vivado.interfaces import PARAMETERS, Port, ports

_HEAD: Final = """\
// SPDX-License-Identifier: MIT
//
// vnc_dma: vnc_dma_top for a block design of Vivado, in Verilog-2001.
//
// Made by `python -m vnetcard.hdl.vivado` from the ports of vnc_dma_top; do not edit.

"""


def text() -> str:
    """The wrapper."""
    found = ports()
    parameters = ",\n".join(f"  parameter {name} = {one.default}" for name, one in PARAMETERS.items())
    described: set[str] = set()
    rows = []
    for port in found:
        first = port.interface.name not in described
        described.add(port.interface.name)
        rows.append(f"{_attributes(port, first)}  {'output' if port.output else 'input '} wire {_of(port)}")
    given = ", ".join(f".{name}({name})" for name in PARAMETERS)
    wires = ",\n".join(f"    .{port.name}({port.outer})" for port in found)
    return (
        f"{_HEAD}module vnc_dma #(\n{parameters}\n) (\n" + ",\n".join(rows) + "\n);\n"
        f"  vnc_dma_top #({given}) i_top (\n{wires}\n  );\nendmodule\n"
    )


def _of(port: Port) -> str:
    return f"{port.bits} {port.outer}" if port.bits else port.outer


def _attributes(port: Port, first: bool) -> str:
    """The attributes of ``port``; the ``first`` of an interface has those of the interface, too."""
    one = port.interface
    rows = [f'  (* X_INTERFACE_INFO = "{one.vlnv} {one.name} {port.signal}" *)\n']
    if first:
        given = ", ".join(f"{name} {value}" for name, value in one.parameters.items())
        rows.append(f'  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {one.name}, {given}" *)\n')
    return "".join(rows)
