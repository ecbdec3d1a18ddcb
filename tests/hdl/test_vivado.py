"""The wrapper for Vivado: the engine's ports in Verilog-2001, each with its interface; no Vivado is at hand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.hdl import build
from vnetcard.hdl.vivado import wrapper
from vnetcard.hdl.vivado.__main__ import main

ADDRESS = {"ADDR", "PROT", "VALID", "READY"}
BURST = ADDRESS | {"ID", "LEN", "SIZE", "BURST", "CACHE"}
LITE = {
    *(f"{channel}{name}" for channel in ("AW", "AR") for name in ADDRESS),
    *("WDATA", "WSTRB", "WVALID", "WREADY", "BRESP", "BVALID", "BREADY", "RDATA", "RRESP", "RVALID", "RREADY"),
}
FULL = {*LITE, *(f"{channel}{name}" for channel in ("AW", "AR") for name in BURST), "WLAST", "RLAST", "BID", "RID"}
"""Signals of AXI4-Lite, and of AXI4 as the engine has them (ARM IHI 0022, chapters A2 and B1)."""


def test_wrapper_is_up_to_date_and_a_stale_one_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    stale = tmp_path / "vnc_dma.v"
    stale.write_text(wrapper.text().replace("input  wire aclk", "input  wire clk"))
    monkeypatch.setattr("vnetcard.hdl.vivado.__main__.FILE", stale)
    assert main(["--check"]) == 1
    assert "run `python -m vnetcard.hdl.vivado`" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_every_signal_has_its_interface() -> None:
    found = re.findall(r'X_INTERFACE_INFO = "xilinx\.com:(\S+) (\w+) (\w+)" \*\)', wrapper.FILE.read_text())
    for bus in wrapper.BUSES:
        signals = {signal for kind, name, signal in found if name == bus and kind == "interface:aximm:1.0"}
        assert signals == (LITE if "axil" in bus else FULL), bus
    others = {(kind, name, signal) for kind, name, signal in found if name not in wrapper.BUSES}
    assert others == {
        ("signal:clock:1.0", "aclk", "CLK"),
        ("signal:reset:1.0", "aresetn", "RST"),
        ("signal:interrupt:1.0", "irq_host", "INTERRUPT"),
        ("signal:interrupt:1.0", "irq_card", "INTERRUPT"),
    }
    assert len(found) == len(wrapper.ports())


def lint(verilator: str, file: Path, **parameters: int) -> subprocess.CompletedProcess[str]:
    """Verilator's lint of the wrapper, read as Verilog-2001, around the engine."""
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    command = [verilator, "--lint-only", "-Wall", "--quiet", "+1364-2001ext+v", "--top-module", "vnc_dma", *given]
    files = [str(build.RTL / "lint.vlt"), *map(str, build.sources()), str(file)]
    return subprocess.run([*command, *files], capture_output=True, text=True, check=False)


@pytest.mark.hdl
def test_wrapper_is_verilog_2001_and_fits_the_engine(verilator: str, tmp_path: Path) -> None:
    for parameters in ({}, {"DataW": 512, "BurstBeats": 16, "ReadsMax": 4}):
        done = lint(verilator, wrapper.FILE, **parameters)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    for old, new in (
        ("    .m_axi_card_rlast(m_axi_card_rlast),\n", ""),
        ("[DataW/8-1:0] m_axi_host_wstrb", "[3:0] m_axi_host_wstrb"),
        ("input  wire aclk", "input  logic aclk"),
    ):
        changed = tmp_path / "vnc_dma.v"
        assert old in wrapper.text()
        changed.write_text(wrapper.text().replace(old, new))
        assert lint(verilator, changed).returncode != 0, f"{old.strip()} changed, and nothing says so"


def test_packaging_script_names_what_there_is() -> None:
    script = wrapper.FILE.with_name("package_ip.tcl").read_text()
    assert script.count("{") == script.count("}") and script.count("[") == script.count("]")
    for name in ("vnc_dma.v", "files.f"):
        assert name in script
    assert wrapper.FILE.exists() and (build.RTL / "files.f").exists()
    for name in wrapper.PARAMETERS:
        assert re.search(rf"\b{name} {{", script), f"no values of {name}"
