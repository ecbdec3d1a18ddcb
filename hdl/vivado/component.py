"""``component.xml``: the engine as an IP-XACT component (IEEE 1685-2009), as Vivado's catalog reads it.

Of the standard's editions Vivado reads 1685-2009, in the namespace ``spirit``.  The component lies in ``hdl/``, so that
this folder is an IP repository as it is: no file is named outside of it.  Names of views, identifiers of parameters and
vendor extensions are those of Vivado's IP packager (UG1118).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from vnetcard import __version__
from vnetcard.hdl.vivado.interfaces import INTERFACES, PAGE_BYTES, PARAMETERS, Interface, Port, ports, sources

SPIRIT: Final = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX: Final = "http://www.xilinx.com"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
MODULE: Final = "vnc_dma"
VENDOR: Final = "vnetcard"
LIBRARY: Final = "user"
WRAPPER: Final = "vivado/vnc_dma.v"
CONSTRAINTS: Final = "vivado/vnc_dma_ooc.xdc"
XGUI: Final = "vivado/vnc_dma_xgui.tcl"
FAMILIES: Final = (
    "zynq",
    "artix7",
    "kintex7",
    "virtex7",
    "kintexu",
    "virtexu",
    "zynquplus",
    "kintexuplus",
    "virtexuplus",
)
DESCRIPTION: Final = "Moves ring buffers between a host's and a card's memory over AXI4"
VIEWS: Final = {
    "xilinx_anylanguagesynthesis": ":vivado.xilinx.com:synthesis",
    "xilinx_anylanguagebehavioralsimulation": ":vivado.xilinx.com:simulation",
}
"""Views with the sources, and their environment identifiers."""

_NOTE: Final = " Made by `python -m vnetcard.hdl.vivado` from the ports of vnc_dma_top; do not edit. "
_XGUI_VIEW: Final = "xilinx_xpgui"


def version() -> tuple[str, int]:
    """The version in the catalog, which has two numbers, and the revision: the third number of the package's."""
    major, minor, revision = __version__.split(".")[:3]
    return f"{major}.{minor}", int(revision)


def text() -> str:
    """The component."""
    for prefix, uri in (("spirit", SPIRIT), ("xilinx", XILINX), ("xsi", XSI)):
        ET.register_namespace(prefix, uri)
    root = ET.Element(_name("component"))
    root.append(ET.Comment(_NOTE))
    for name, value in (("vendor", VENDOR), ("library", LIBRARY), ("name", MODULE), ("version", version()[0])):
        _leaf(root, name, value)
    found = ports()
    buses = _child(root, "busInterfaces")
    for one in INTERFACES:
        _bus(buses, one, [port for port in found if port.interface == one])
    _memory(root)
    model = _child(root, "model")
    _views(model)
    rows = _child(model, "ports")
    for port in found:
        _port(rows, port)
    _parameters(root, model)
    _extensions(root)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _name(name: str, space: str = SPIRIT) -> str:
    return f"{{{space}}}{name}"


def _child(parent: ET.Element, name: str, /, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, _name(name), {_name(key): value for key, value in attributes.items()})


def _leaf(parent: ET.Element, name: str, value: str, /, **attributes: str) -> None:
    _child(parent, name, **attributes).text = value


def _bus(parent: ET.Element, one: Interface, found: list[Port]) -> None:
    bus = _child(parent, "busInterface")
    _leaf(bus, "name", one.name)
    for element, kind in (("busType", one.kind), ("abstractionType", f"{one.kind}_rtl")):
        _child(bus, element, vendor="xilinx.com", library=one.library, name=kind, version="1.0")
    side = _child(bus, "master" if one.master else "slave")
    if one.kind == "aximm":
        kind = "addressSpaceRef" if one.master else "memoryMapRef"
        _child(side, kind, **{kind: one.name})
    maps = _child(bus, "portMaps")
    for port in found:
        pair = _child(maps, "portMap")
        _leaf(_child(pair, "logicalPort"), "name", port.signal)
        _leaf(_child(pair, "physicalPort"), "name", port.outer)
    parameters = _child(bus, "parameters")
    for name, value in one.parameters.items():
        parameter = _child(parameters, "parameter")
        _leaf(parameter, "name", name)
        _leaf(parameter, "value", value, id=f"BUSIFPARAM_VALUE.{one.name.upper()}.{name}")


def _memory(root: ET.Element) -> None:
    """The address spaces of the masters, which reach everything, and the register page of each slave."""
    memory = [one for one in INTERFACES if one.kind == "aximm"]
    spaces = _child(root, "addressSpaces")
    for one in (one for one in memory if one.master):
        space = _child(spaces, "addressSpace")
        _leaf(space, "name", one.name)
        _leaf(space, "range", str(2 ** int(one.parameters["ADDR_WIDTH"])))
        _leaf(space, "width", one.parameters["ADDR_WIDTH"])
    maps = _child(root, "memoryMaps")
    for one in (one for one in memory if not one.master):
        page = _child(maps, "memoryMap")
        _leaf(page, "name", one.name)
        block = _child(page, "addressBlock")
        for name, value in (("name", "reg0"), ("baseAddress", "0"), ("range", str(PAGE_BYTES))):
            _leaf(block, name, value)
        for name, value in (("width", one.parameters["DATA_WIDTH"]), ("usage", "register"), ("access", "read-write")):
            _leaf(block, name, value)


def _views(model: ET.Element) -> None:
    views = _child(model, "views")
    for name, environment in (*VIEWS.items(), (_XGUI_VIEW, ":vivado.xilinx.com:xgui.ui")):
        view = _child(views, "view")
        _leaf(view, "name", name)
        _leaf(view, "envIdentifier", environment)
        if name in VIEWS:
            _leaf(view, "language", "Verilog")
            _leaf(view, "modelName", MODULE)
        _leaf(_child(view, "fileSetRef"), "localName", f"{name}_view_fileset")


def _port(parent: ET.Element, port: Port) -> None:
    row = _child(parent, "port")
    _leaf(row, "name", port.outer)
    wire = _child(row, "wire")
    _leaf(wire, "direction", "out" if port.output else "in")
    if port.bits:
        vector = _child(wire, "vector")
        left = {"format": "long"}
        if port.divisor is not None:
            value = "spirit:decode(id('MODELPARAM_VALUE.DataW'))"
            value = value if port.divisor == 1 else f"({value} / {port.divisor})"
            left |= {"resolve": "dependent", "dependency": f"({value} - 1)"}
        _leaf(vector, "left", str(port.width(PARAMETERS["DataW"].default) - 1), **left)
        _leaf(vector, "right", "0", format="long")
    definition = _child(_child(wire, "wireTypeDefs"), "wireTypeDef")
    _leaf(definition, "typeName", "wire")
    for view in VIEWS:
        _leaf(definition, "viewNameRef", view)


def _parameters(root: ET.Element, model: ET.Element) -> None:
    """Parameters of the module, the values to choose from, the files, and the parameters that the user sets."""
    generated = _child(model, "modelParameters")
    choices = _child(root, "choices")
    _files(root)
    _leaf(root, "description", DESCRIPTION)
    user = _child(root, "parameters")
    for order, (name, one) in enumerate(PARAMETERS.items(), start=2):
        parameter = _child(generated, "modelParameter", dataType="integer")
        parameter.set(_name("type", XSI), "spirit:nameValueTypeType")
        value = str(one.default)
        given = {"format": "long", "resolve": "generated", "id": f"MODELPARAM_VALUE.{name}"}
        _named(parameter, name, one.title, value, given)
        choice = _child(choices, "choice")
        _leaf(choice, "name", f"choice_list_{name}")
        for admitted in one.values:
            _leaf(choice, "enumeration", str(admitted))
        given = {"format": "long", "resolve": "user", "id": f"PARAM_VALUE.{name}", "order": str(order)}
        _named(_child(user, "parameter"), name, one.title, value, given | {"choiceRef": f"choice_list_{name}"})
    given = {"resolve": "user", "id": "PARAM_VALUE.Component_Name", "order": "1"}
    _named(_child(user, "parameter"), "Component_Name", "", f"{MODULE}_v{version()[0].replace('.', '_')}", given)


def _named(parameter: ET.Element, name: str, title: str, value: str, given: dict[str, str]) -> None:
    _leaf(parameter, "name", name)
    if title:
        _leaf(parameter, "displayName", title)
    _leaf(parameter, "value", value, **given)


def _files(root: ET.Element) -> None:
    """A file set for each view, in the order of compilation."""
    sets = _child(root, "fileSets")
    rtl = [(f"rtl/{name}", "systemVerilogSource") for name in sources()]
    for view in VIEWS:
        files = _child(sets, "fileSet")
        _leaf(files, "name", f"{view}_view_fileset")
        for name, kind in (*rtl, (WRAPPER, "verilogSource")):
            file = _child(files, "file")
            _leaf(file, "name", name)
            _leaf(file, "fileType", kind)
        if view.endswith("synthesis"):
            file = _child(files, "file")
            _leaf(file, "name", CONSTRAINTS)
            for kind in ("xdc", "USED_IN_implementation", "USED_IN_out_of_context", "USED_IN_synthesis"):
                _leaf(file, "userFileType", kind)
    files = _child(sets, "fileSet")
    _leaf(files, "name", f"{_XGUI_VIEW}_view_fileset")
    file = _child(files, "file")
    _leaf(file, "name", XGUI)
    _leaf(file, "fileType", "tclSource")
    _leaf(file, "userFileType", "XGUI_VERSION_2")


def _extensions(root: ET.Element) -> None:
    """What Vivado's catalog shows."""
    core = ET.SubElement(_child(root, "vendorExtensions"), _name("coreExtensions", XILINX))
    families = ET.SubElement(core, _name("supportedFamilies", XILINX))
    for name in FAMILIES:
        family = ET.SubElement(families, _name("family", XILINX), {_name("lifeCycle", XILINX): "Pre-Production"})
        family.text = name
    taxonomies = ET.SubElement(core, _name("taxonomies", XILINX))
    ET.SubElement(taxonomies, _name("taxonomy", XILINX)).text = "/Communication_&_Networking"
    ET.SubElement(core, _name("displayName", XILINX)).text = "vnetcard DMA engine"
    ET.SubElement(core, _name("coreRevision", XILINX)).text = str(version()[1])
