"""The Tcl for Vivado runs in a model of its commands: every cell, pin, file and address that it names exists."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hdl import build
from tests.hdl.vivado_run import AMD, BOARD, NO_FABRIC, VIVADO, Ip, Run, own, run
from vnetcard.hdl.vivado.component import VENDOR, XGUI, version
from vnetcard.hdl.vivado.generated import HDL
from vnetcard.hdl.vivado.interfaces import BUSES, PARAMETERS, ports

BRIDGE = "card_xdma_bridge.tcl"
PS_PCIE = "card_ps_pcie.tcl"
PACKAGE = "package_ip.tcl"
COMMON = "card.tcl"
SCRIPTS = {BRIDGE: AMD | own(), PS_PCIE: NO_FABRIC, PACKAGE: {}}
"""Each with the catalog that it needs."""

Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run a script of ``hdl/vivado``, with ``old`` in ``file`` (by default the script) replaced by ``new`` once."""

    def go(script: str, old: str = "", new: str = "", *, file: str = "", catalog: dict[str, Ip] | None = None) -> Run:
        copies = tmp_path / "hdl"
        shutil.copytree(HDL, copies, ignore=shutil.ignore_patterns("__pycache__", "*.py"), dirs_exist_ok=True)
        changed = copies / "vivado" / (file or script)
        text = changed.read_text()
        assert old in text
        changed.write_text(text.replace(old, new, 1) if old else text)
        arguments = [str(tmp_path / "out"), *([] if script == PACKAGE else [BOARD])]
        ips = SCRIPTS[script] if catalog is None else catalog
        return run(tmp_path, copies / "vivado" / script, *arguments, catalog=ips)

    return go


def test_bridge_design_connects_the_whole_engine(start: Start) -> None:
    done = start(BRIDGE)
    assert done.status == 0, done.error
    assert ["dma", f"{VENDOR}:user:vnc_dma:{version()[0]}"] in done.of("cell")
    ((_, dma),) = [(vlnv, ip) for vlnv, ip in own().items()]
    ends = {end for kind in ("net", "intf") for words in done.of(kind) for end in words}
    assert {f"dma/{name}" for name in (*dma.pins, *dma.interfaces)} <= ends
    assert ["validate_bd_design"] in done.of("do")
    paths = {(space, segment): (int(at), int(size)) for space, segment, at, size in done.of("address")}
    assert {space.partition("/")[0] for space, _ in paths} == {"bridge", "ps", "dma"}
    assert {segment.split("/")[1] for _, segment in paths} >= {bus for bus in BUSES if bus.startswith("s_")}
    assert all(size == 4096 for (_, segment), (_, size) in paths.items() if segment.endswith("/reg0"))


def test_bridge_design_has_one_width_and_its_bar_leads_to_the_page(start: Start) -> None:
    done = start(BRIDGE)
    given = {(cell, name.removeprefix("CONFIG.")): value for cell, name, value in done.of("set")}
    width = given["dma", "DataW"]
    assert int(width) in PARAMETERS["DataW"].values
    assert given["bridge", "axi_data_width"] == f"{width}_bit"
    assert given["ps", "PSU__SAXIGP2__DATA_WIDTH"] == width
    (page,) = [int(at) for _, segment, at, _ in done.of("address") if segment.startswith("dma/s_axil_host")]
    assert int(given["bridge", "pciebar2axibar_0"], 16) == page
    assert (given["bridge", "pf0_bar0_size"], given["bridge", "pf0_bar0_scale"]) == ("4", "Kilobytes")


def test_ps_pcie_design_has_the_window_behind_a_prefetchable_bar(start: Start) -> None:
    done = start(PS_PCIE)
    assert done.status == 0, done.error
    assert [name for name, _ in done.of("cell")] == ["ps"]
    given = {name.removeprefix("CONFIG.PSU__PCIE__"): value for cell, name, value in done.of("set") if cell == "ps"}
    assert given["DEVICE_PORT_TYPE"] == "Endpoint Device"
    assert [given[f"BAR2_{name}"] for name in ("ENABLE", "64BIT", "PREFETCHABLE", "SCALE", "SIZE")] == [
        *("1", "1", "1"),
        *("Megabytes", "8"),
    ]
    lanes = sum(given[f"LANE{lane}__ENABLE"] == "1" for lane in range(4))
    assert given["MAXIMUM_LINK_WIDTH"] == f"x{lanes}"


def test_packaging_takes_every_source_in_order_and_every_parameter(start: Start) -> None:
    done = start(PACKAGE)
    assert done.status == 0, done.error
    names = [Path(file).name for files, file in done.of("file") if files == "sources_1"]
    assert names == [*(path.name for path in build.sources(HDL / "rtl")), "vnc_dma.v"]
    assert [Path(file).name for files, file in done.of("file") if files == "constrs_1"] == ["vnc_dma_ooc.xdc"]
    assert ["core", "version", version()[0]] in done.of("set")
    for name, parameter in PARAMETERS.items():
        assert [name, "value_validation_list", " ".join(map(str, parameter.values))] in done.of("set")
    assert [words[:3] for words in done.of("do") if words[0] == "package_project"] == [
        ["package_project", VENDOR, "user"],
    ]
    assert done.of("do")[-1] == ["save_core"]


@pytest.mark.parametrize(
    ("script", "old", "new", "said"),
    [
        (BRIDGE, "dma/irq_card", "dma/irq_fpga", "no pin dma/irq_fpga"),
        (BRIDGE, "host_memory bridge/S_AXI_B", "host_memory bridge/S_AXI", "no intf bridge/S_AXI"),
        (
            BRIDGE,
            "vnetcard:user:vnc_dma DataW",
            "vnetcard:user:vnc_dma DataWidth",
            "dma has no parameter CONFIG.DataWidth",
        ),
        (BRIDGE, " [get_bd_pins dma/aclk]", "", "dma/aclk has no driver"),
        (BRIDGE, "[get_bd_pins dma/aclk]", "[get_bd_pins dma/aresetn]", "differ in kind"),
        (BRIDGE, "    dma/m_axi_card    card_memory ps/S_AXI_HP0_FPD\n", "", "does not reach"),
        (BRIDGE, "ps/Data        dma/s_axil_card/reg0", "ps/Data        dma/s_axil_host/reg0", "does not reach"),
        (BRIDGE, "    ps/Data        dma/s_axil_card/reg0       $vnetcard::page_address 4K \\\n", "", "has no address"),
        (BRIDGE, "0xA0010000", "0xA0010800", "is not aligned"),
        (BRIDGE, "vnc_irq_hold.v", "vnc_irq_latch.v", "no file"),
        (BRIDGE, "here card_xdma_bridge.xdc", "here board.xdc", "no file"),
        (BRIDGE, "validate_bd_design", "check_bd_design", "invalid command name"),
        (PACKAGE, "here vnc_dma.v", "here vnc_engine.v", "no file"),
        (PACKAGE, "here vnc_dma_ooc.xdc", "here vnc_dma.xdc", "no file"),
        (PACKAGE, "{DataW {", "{DataWidth {", "no parameter DataWidth"),
    ],
)
def test_model_refuses_a_name_or_a_connection_that_is_wrong(
    start: Start, script: str, old: str, new: str, said: str
) -> None:
    file = COMMON if old in (VIVADO / COMMON).read_text() else script
    done = start(script, old, new, file=file)
    assert done.status == 3
    assert said in done.error


def test_packaging_without_a_version_is_one_line(start: Start) -> None:
    done = start(PACKAGE, "<spirit:version>", "<spirit:edition>", file="../component.xml")
    assert (done.status, done.error.count("\n")) == (1, 1)
    assert "states no version" in done.error


@pytest.mark.parametrize("script", [BRIDGE, PS_PCIE])
def test_missing_ip_is_one_line_that_names_it(start: Start, script: str) -> None:
    for missing in SCRIPTS[script]:
        done = start(script, catalog={vlnv: ip for vlnv, ip in SCRIPTS[script].items() if vlnv != missing})
        assert done.status == 1
        assert done.error.count("\n") == 1
        assert f"has no {missing.rpartition(':')[0]}:" in done.error


def test_newest_version_of_an_ip_is_taken(start: Start) -> None:
    name = "xilinx.com:ip:zynq_ultra_ps_e"
    done = start(PS_PCIE, catalog={f"{name}:{version}": Ip({}, {}) for version in ("3.9", "3.10", "3.5")})
    assert done.of("cell") == [["ps", f"{name}:3.10"]]


@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_arguments_are_one_line(tmp_path: Path, script: str) -> None:
    assert run(tmp_path, VIVADO / script).status == 2
    if script != PACKAGE:
        done = run(tmp_path, VIVADO / script, str(tmp_path), "acme.example:other:part0:1.0")
        assert (done.status, done.error.count("\n")) == (1, 1)
        assert "acme.example:other:part0:1.0" in done.error
        (tmp_path / "card.xpr").touch()
        done = run(tmp_path, VIVADO / script, str(tmp_path), BOARD)
        assert (done.status, done.error.count("\n")) == (1, 1)
        assert str(tmp_path / "card.xpr") in done.error


def test_constraints_name_ports_that_exist(tmp_path: Path, start: Start) -> None:
    engine = [port.outer for port in ports()]
    done = run(tmp_path, VIVADO / "vnc_dma_ooc.xdc", ports=engine)
    assert (done.status, done.of("clock")) == (0, [["aclk", "4.000", "aclk"]]), done.error
    outside = [f"{name}_clk_p" if end.endswith("CLK_IN_D") else name for name, end in start(BRIDGE).of("port")]
    done = run(tmp_path, VIVADO / "card_xdma_bridge.xdc", ports=outside)
    assert done.status == 0, done.error
    assert done.of("false_path") == [["pcie_perst_n"]]
    assert run(tmp_path, VIVADO / "card_xdma_bridge.xdc", ports=engine).status == 3


def test_customization_passes_each_parameter_to_the_module(tmp_path: Path) -> None:
    calls = "".join(f"\nupdate_MODELPARAM_VALUE.{name} model_{name} user_{name}" for name in PARAMETERS)
    script = tmp_path / "xgui.tcl"
    given = "".join(f"\nset_property value {n} user_{name}" for n, name in enumerate(PARAMETERS))
    script.write_text((HDL / XGUI).read_text() + given + calls)
    done = run(tmp_path, script)
    assert done.status == 0, done.error
    assert [[f"model_{name}", "value", str(n)] for n, name in enumerate(PARAMETERS)] == done.of("set")[
        len(PARAMETERS) :
    ]
