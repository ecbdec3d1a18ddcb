"""Traces one record through the simulated engine; as a program, it draws docs/images/record-crossing.svg."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.sim.cards import bring_up, opened, send
from tests.sim.simulation import simulated
from vnetcard.ring import layout as L
from vnetcard.sim import waveform

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/images/record-crossing.svg"


def trace_record(path: Path) -> None:
    """Write a trace to ``path`` whose last doorbell is that of one record of 64 bytes from host to card."""
    with simulated("--data-width", "64", "--trace", str(path)) as simulation, opened(simulation.name) as cards:
        bring_up(cards)
        send(cards, L.HOST, 0, bytes(range(64)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        trace_record(Path(folder, "record.fst"))
        PICTURE.parent.mkdir(exist_ok=True)
        sys.exit(waveform.main([str(Path(folder, "record.fst")), str(PICTURE)]))
