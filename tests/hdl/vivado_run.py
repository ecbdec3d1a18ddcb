"""Runs a script for Vivado in tclsh, in a model of Vivado's commands (``vivado_stub.tcl``).

What the model knows of our IP is read from ``component.xml``, and of the module ``vnc_irq_hold`` from its ports.  Of
AMD's IPs it knows the names that the block designs use, as of the IPs' product guides (PG195, PG201, PG247, UG835).
"""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.needs import need
from vnetcard.hdl.vivado.component import SPIRIT
from vnetcard.hdl.vivado.generated import HDL

STUB: Final = Path(__file__).with_name("vivado_stub.tcl")
VIVADO: Final = HDL / "vivado"
NS: Final = {"spirit": SPIRIT}
BOARD: Final = "acme.example:board:part0:1.0"


@dataclass(slots=True)
class Ip:
    """An IP: pins (direction, kind), interfaces (mode, kind, address space, segments), and names of parameters.

    ``parameters`` None: any; ``connects``: addresses pass through it.
    """

    pins: dict[str, tuple[str, str]]
    interfaces: dict[str, tuple[str, str, str, tuple[str, ...]]]
    parameters: list[str] | None = None
    connects: bool = False

    def tcl(self) -> str:
        """As a dict for the model."""
        pins = " ".join(f"{name} {{{direction} {kind}}}" for name, (direction, kind) in self.pins.items())
        rows = (
            f"{name} {{{mode} {kind} {{{space}}} {{{' '.join(segments)}}}}}"
            for name, (mode, kind, space, segments) in self.interfaces.items()
        )
        parameters = "*" if self.parameters is None else " ".join(self.parameters)
        connects = " connects 1" if self.connects else ""
        return f"params {{{parameters}}} pins {{{pins}}} intfs {{{' '.join(rows)}}}{connects}"


AMD: Final = {
    "xilinx.com:ip:zynq_ultra_ps_e:3.5": Ip(
        {"maxihpm0_fpd_aclk": ("I", "clk"), "saxihp0_fpd_aclk": ("I", "clk"), "pl_ps_irq0": ("I", "data")},
        {
            "M_AXI_HPM0_FPD": ("master", "aximm", "Data", ()),
            "S_AXI_HP0_FPD": ("slave", "aximm", "", ("SAXIGP2/HP0_DDR_LOW",)),
        },
    ),
    "xilinx.com:ip:xdma:4.1": Ip(
        {
            **{name: ("I", "clk") for name in ("sys_clk", "sys_clk_gt")},
            "sys_rst_n": ("I", "rst"),
            "axi_aclk": ("O", "clk"),
            "axi_aresetn": ("O", "rst"),
            "usr_irq_req": ("I", "data"),
            "usr_irq_ack": ("O", "data"),
        },
        {
            "pcie_mgt": ("master", "pcie", "", ()),
            "M_AXI_B": ("master", "aximm", "M_AXI_B", ()),
            "S_AXI_B": ("slave", "aximm", "", ("S_AXI_B/BAR0",)),
        },
    ),
    "xilinx.com:ip:smartconnect:1.0": Ip(
        {"aclk": ("I", "clk"), "aresetn": ("I", "rst")},
        {"S00_AXI": ("slave", "aximm", "", ()), "M00_AXI": ("master", "aximm", "", ())},
        ["NUM_SI", "NUM_MI", "NUM_CLKS"],
        connects=True,
    ),
    "xilinx.com:ip:util_ds_buf:2.2": Ip(
        {"IBUF_OUT": ("O", "clk"), "IBUF_DS_ODIV2": ("O", "clk")},
        {"CLK_IN_D": ("slave", "diff_clock", "", ())},
    ),
}
"""Without pins and interfaces that may stay open."""

NO_FABRIC: Final = {"xilinx.com:ip:zynq_ultra_ps_e:3.5": Ip({}, {})}
"""The processing system with every port towards the programmable logic disabled."""

KINDS: Final = {"clock": "clk", "reset": "rst", "interrupt": "data"}


def own() -> dict[str, Ip]:
    """Our IP as ``component.xml`` describes it."""
    root = ET.parse(HDL / "component.xml").getroot()
    vlnv = ":".join(root.findtext(f"spirit:{name}", "", NS) for name in ("vendor", "library", "name", "version"))
    pins: dict[str, tuple[str, str]] = {}
    interfaces: dict[str, tuple[str, str, str, tuple[str, ...]]] = {}
    for bus in root.iterfind("spirit:busInterfaces/spirit:busInterface", NS):
        name, kind = bus.findtext("spirit:name", "", NS), bus.find("spirit:busType", NS)
        assert kind is not None
        of = kind.attrib[f"{{{SPIRIT}}}name"]
        mode = "slave" if bus.find("spirit:master", NS) is None else "master"
        if of == "aximm":
            segments = ("reg0",) if mode == "slave" else ()
            interfaces[name] = (mode, of, "" if segments else name, tuple(f"{name}/{one}" for one in segments))
        else:
            pins[name] = ("O" if mode == "master" else "I", KINDS[of])
    parameters = [
        row.findtext("spirit:name", "", NS) for row in root.iterfind("spirit:parameters/spirit:parameter", NS)
    ]
    return {vlnv: Ip(pins, interfaces, parameters)}


def modules() -> dict[str, Ip]:
    """The modules of ``vivado/`` that a block design refers to."""
    ports = re.findall(r"^  (input|output) +(?:wire|reg) +(\w+),?$", (VIVADO / "vnc_irq_hold.v").read_text(), re.M)
    kinds = {"aclk": "clk", "aresetn": "rst"}
    pins = {name: ("O" if direction == "output" else "I", kinds.get(name, "data")) for direction, name in ports}
    return {"vnc_irq_hold": Ip(pins, {}, [])}


@dataclass(slots=True)
class Run:
    """How a script ended, and the facts that the model recorded: the words of each line, by the first."""

    status: int
    error: str
    facts: dict[str, list[list[str]]] = field(default_factory=dict)

    def of(self, kind: str) -> list[list[str]]:
        """Those of one kind."""
        return self.facts.get(kind, [])


def run(
    folder: Path, script: Path, *arguments: str, catalog: dict[str, Ip] | None = None, ports: Iterable[str] = ()
) -> Run:
    """Run ``script`` with ``catalog`` (by default all IPs) in a catalog file in ``folder``."""
    ips = AMD | own() if catalog is None else catalog
    known = "\n".join(
        f"dict set {name} {vlnv} {{{ip.tcl()}}}"
        for name, table in (("catalog", ips), ("modules", modules()))
        for vlnv, ip in table.items()
    )
    (parameters,) = (ip.parameters for ip in own().values())
    lists = (("boards", [BOARD]), ("parameters", parameters or []), ("ports", list(ports)))
    known += "".join(f"\nset {name} {{{' '.join(words)}}}" for name, words in lists)
    file = folder / "catalog.tcl"
    file.write_text(f"set catalog {{}}\nset modules {{}}\n{known}\n")
    command = [need("tclsh"), str(STUB), str(file), str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = Run(done.returncode, done.stderr)
    for line in done.stdout.splitlines():
        kind, *words = line.split("\t")
        found.facts.setdefault(kind, []).append(words)
    return found
