"""The customization of the IP: Tcl that shows the parameters and passes their values to the module.

Vivado calls these procedures by name (UG1118, "Customization GUI"): ``init_gui`` builds the page, and
``update_MODELPARAM_VALUE.NAME`` copies what the user set to the parameter of the module.
"""

from __future__ import annotations

from typing import Final

from vnetcard.hdl.vivado.interfaces import PARAMETERS

_HEAD: Final = """\
# SPDX-License-Identifier: MIT
#
# Customization of vnc_dma in Vivado.  Made by `python -m vnetcard.hdl.vivado`; do not edit.

proc init_gui { IPINST } {
  ipgui::add_param $IPINST -name "Component_Name"
  set page [ipgui::add_page $IPINST -name "Page 0"]
"""


def text() -> str:
    """The script."""
    rows = "".join(f'  ipgui::add_param $IPINST -name "{name}" -parent $page -widget comboBox\n' for name in PARAMETERS)
    return f"{_HEAD}{rows}}}\n" + "".join(map(_procedures, PARAMETERS))


def _procedures(name: str) -> str:
    user, model = f"PARAM_VALUE.{name}", f"MODELPARAM_VALUE.{name}"
    return (
        f"\nproc update_{user} {{ {user} }} {{\n}}\n"
        f"\nproc validate_{user} {{ {user} }} {{\n  return true\n}}\n"
        f"\nproc update_{model} {{ {model} {user} }} {{\n"
        f"  set_property value [get_property value ${{{user}}}] ${{{model}}}\n}}\n"
    )
