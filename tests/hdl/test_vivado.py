"""The wrapper for Vivado: the engine's ports in Verilog-2001, each with its interface; no Vivado is at hand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.hdl import build
from vnetcard.hdl.vivado import wrapper
from vnetcard.hdl.vivado.__main__ import main
from vnetcard.hdl.vivado.generated import HDL, generated
from vnetcard.hdl.vivado.interfaces import BUSES, ports

FILE = HDL / "vivado/vnc_dma.v"

ADDRESS = {"ADDR", "PROT", "VALID", "READY"}
BURST = ADDRESS | {"ID", "LEN", "SIZE", "BURST", "CACHE"}
LITE = {
    *(f"{channel}{name}" for channel in ("AW", "AR") for name in ADDRESS),
    *("WDATA", "WSTRB", "WVALID", "WREADY", "BRESP", "BVALID", "BREADY", "RDATA", "RRESP", "RVALID", "RREADY"),
}
FULL = {*LITE, *(f"{channel}{name}" for channel in ("AW", "AR") for name in BURST), "WLAST", "RLAST", "BID", "RID"}
"""Signals of AXI4-Lite, and of AXI4 as the engine has them (ARM IHI 0022, chapters A2 and B1)."""


def test_generated_files_are_up_to_date_and_a_stale_one_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    where = ["--root", str(tmp_path)]
    assert main(where) == 0
    assert main(["--check", *where]) == 0
    for name in generated():
        file = tmp_path / name
        file.write_text(file.read_text().replace("aclk", "clk").replace("DataW", "Width"))
        assert main(["--check", *where]) == 1
        error = capsys.readouterr().err
        assert name in error and "run `python -m vnetcard.hdl.vivado`" in error
        file.unlink()
        assert main(["--check", *where]) == 1
        assert main(where) == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(generated())


def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--root", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_signal_has_its_interface() -> None:
    found = re.findall(r'X_INTERFACE_INFO = "xilinx\.com:(\S+) (\w+) (\w+)" \*\)', FILE.read_text())
    for bus in BUSES:
        signals = {signal for kind, name, signal in found if name == bus and kind == "interface:aximm:1.0"}
        assert signals == (LITE if "axil" in bus else FULL), bus
    others = {(kind, name, signal) for kind, name, signal in found if name not in BUSES}
    assert others == {
        ("signal:clock:1.0", "aclk", "CLK"),
        ("signal:reset:1.0", "aresetn", "RST"),
        ("signal:interrupt:1.0", "irq_host", "INTERRUPT"),
        ("signal:interrupt:1.0", "irq_card", "INTERRUPT"),
    }
    assert len(found) == len(ports())


def lint(verilator: str, file: Path, **parameters: int) -> subprocess.CompletedProcess[str]:
    """Verilator's lint of the wrapper, read as Verilog-2001, around the engine."""
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    command = [verilator, "--lint-only", "-Wall", "--quiet", "+1364-2001ext+v", "--top-module", "vnc_dma", *given]
    files = [str(build.RTL / "lint.vlt"), *map(str, build.sources()), str(file)]
    return subprocess.run([*command, *files], capture_output=True, text=True, check=False)


@pytest.mark.hdl
def test_wrapper_is_verilog_2001_and_fits_the_engine(verilator: str, tmp_path: Path) -> None:
    for parameters in ({}, {"DataW": 512, "BurstBeats": 16, "ReadsMax": 4}):
        done = lint(verilator, FILE, **parameters)
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
