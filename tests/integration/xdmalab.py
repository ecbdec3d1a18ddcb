"""Two agents and a mover between them: the card's memory is a file, which stands for the XDMA driver's devices too.

``/dev/xdma0_h2c_0`` writes a card's memory where it is told and ``/dev/xdma0_c2h_0`` reads it, which a plain file
does as well.  What a file does not do, fail and be late, is in tests/unit/test_transfers.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from vnetcard import layout as L
from vnetcard.control import ask
from vnetcard.lab import Lab

SIZE = 1 << 20


class XdmaLab(Lab):
    """A ``Lab`` whose host reaches the card's window by transfers; ``folder`` gets the card's memory and devices."""

    def __init__(self, folder: Path, *, options: str = "") -> None:
        self.memory = folder / "ddr"
        self.card_url = f"file:{self.memory}"
        for device in ("xdma0_h2c_0", "xdma0_c2h_0"):
            (folder / device).symlink_to(self.memory)
        with self.memory.open("xb") as file:
            file.truncate(SIZE)
        super().__init__("xdma", window=f"xdma:{folder}/xdma0@0x0+{SIZE}{options}", log=sys.stderr)

    def start(self, side: int, *options: str) -> None:
        if side == L.CARD:  # nobody wakes it: on a card, memory that a DMA core writes is polled as well
            options = ("--window", f"{self.card_url}+{SIZE}", "--wait", "poll", *options)
        super().start(side, *options)

    def status(self, side: int) -> dict[str, Any]:
        return ask((self.url, self.card_url)[side], side, "status")

    def left_behind(self) -> list[str]:
        """The host's memory, if it is there."""
        unique = f"vnetcard-xdma-{str(self.memory.parent / 'xdma0').strip('/').replace('/', '-')}"
        return [path.name for path in Path("/dev/shm").glob(f"{unique}*")]
