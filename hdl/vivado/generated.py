"""The files that ``python -m vnetcard.hdl.vivado`` writes, all from the ports and parameters of ``vnc_dma_top``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vnetcard.hdl.vivado import component, wrapper, xgui

HDL: Final = Path(__file__).parents[1]
"""The folder of the RTL, which is the root of the IP."""


def generated() -> dict[str, str]:
    """Contents by path below ``hdl/``."""
    return {
        component.WRAPPER: wrapper.text(),
        "component.xml": component.text(),
        component.XGUI: xgui.text(),
    }


def stale(root: Path = HDL) -> list[str]:
    """Those that are missing below ``root`` or differ."""
    return [
        name for name, text in generated().items() if not (root / name).exists() or (root / name).read_text() != text
    ]


def write(root: Path = HDL) -> None:
    """Write all of them below ``root``."""
    for name, text in generated().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
