"""The record of the engine's size and speed, and the comparison of a measurement with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from vnetcard.hdl.synth import flow
from vnetcard.hdl.synth.flow import Size, Speed

RECORD = Path(__file__).with_name("yardstick.json")
GROWTH = 0.03
"""Share by which LUTs and registers may exceed the record; more growth requires a new record."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement at one data width; ``speed`` is None when it was not routed."""

    width: int
    size: Size
    speed: Speed | None = None


def rtl_digest() -> str:
    """Return a digest that identifies the measured RTL: the files of ``files.f`` up to that of ``vnc_dma_top``."""
    digest = hashlib.sha256()
    lines = (flow.RTL / "files.f").read_text().splitlines()
    files = [line for line in lines if line and not line.startswith("//")]
    for name in sorted(files[: files.index(f"{flow.TOP}.sv") + 1]):
        digest.update((flow.RTL / name).read_bytes())
    return digest.hexdigest()[:16]


def load() -> dict[int, Measured]:
    """Return the record by data width."""
    rows = json.loads(RECORD.read_text())["widths"]
    found = {}
    for name, row in rows.items():
        size = Size(*(row[field.name] for field in fields(Size)))
        speed = Speed(row["mhz"], row["path_from"], row["path_to"]) if "mhz" in row else None
        found[int(name)] = Measured(int(name), size, speed)
    return found


def save(measured: Mapping[int, Measured]) -> None:
    """Store ``measured`` as the record, with the speed of the routed widths."""
    rows = {}
    for width, row in sorted(measured.items()):
        speed = {} if row.speed is None else asdict(row.speed)
        rows[str(width)] = asdict(row.size) | {"luts": row.size.luts} | speed
    record = {
        "what": "vnc_dma_top on a Lattice LFE5U-85F-8, see hdl/synth; a yardstick, no evidence for other families",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rtl": rtl_digest(),
        "versions": {name: version(name) for name in flow.TOOLS},
        "widths": rows,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def table(record: Mapping[int, Measured]) -> str:
    """Return the record as the table of hdl/README.md."""
    rows = ["| `DataW` | LUT4 | registers | LUT RAMs | block RAMs | MHz |", "|---|---|---|---|---|---|"]
    for width, row in sorted(record.items()):
        size = row.size
        mhz = row.speed.mhz if row.speed else "-"
        rows.append(f"| {width} | {size.luts} | {size.ff} | {size.lut_ram} | {size.block_ram} | {mhz} |")
    return "\n".join(rows)


def complaints(now: Measured, record: Measured) -> list[str]:
    """Return a message for each figure that is worse than the record allows."""
    found = []
    for what, have, had in (("LUTs", now.size.luts, record.size.luts), ("registers", now.size.ff, record.size.ff)):
        if have > had * (1 + GROWTH):
            found.append(f"{now.width} bit: {have} {what}, more than {GROWTH:.0%} over the recorded {had}")
    if now.size.block_ram != record.size.block_ram:
        found.append(f"{now.width} bit: {now.size.block_ram} block RAMs, not the recorded {record.size.block_ram}")
    if now.size.lut_ram > record.size.lut_ram * (1 + GROWTH):
        found.append(f"{now.width} bit: {now.size.lut_ram} LUT RAMs, recorded {record.size.lut_ram}")
    target = flow.TARGETS_MHZ[now.width]
    if now.speed is not None and now.speed.mhz < target:
        found.append(
            f"{now.width} bit: {now.speed.mhz} MHz, not {target:g}: {now.speed.path_from} -> {now.speed.path_to}"
        )
    return found
