"""Two agents with the DMA copier between them; one file is the card's memory and the XDMA driver's devices.

``/dev/xdma0_h2c_0`` writes the card's memory at an offset and ``/dev/xdma0_c2h_0`` reads it, as a plain file does.
Failures and delays, which a file does not show, are in tests/unit/test_dma_channel.py and test_dma_copier.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.harness.fake_board import FakeBoard
from vnetcard.agent.control import ask
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

ADDRESS, SIZE = 0x1000_0000, 1 << 20
CARD = f"mem:{ADDRESS:#x}"


def devices(board: FakeBoard) -> Path:
    """Create the card's /dev/mem and the host's /dev/xdma0_* as one file."""
    memory = board.physical(start=ADDRESS, size=SIZE)
    for device in ("xdma0_h2c_0", "xdma0_c2h_0"):
        (memory.parent / device).symlink_to(memory)
    return memory


class XdmaLab(Lab):
    """A ``Lab`` whose host reaches the card's window by XDMA channels; for the card it is physical memory."""

    def __init__(self, board: FakeBoard, *, options: str = "") -> None:
        self.memory = devices(board)
        super().__init__("xdma", window=f"xdma:0@{ADDRESS:#x}{options}+{SIZE}", log=sys.stderr)

    def start(self, side: int, *options: str) -> None:
        if side == L.CARD:
            options = ("--window", f"{CARD}+{SIZE}", *options)
        super().start(side, *options)

    def status(self, side: int) -> dict[str, Any]:
        return ask((self.url, CARD)[side], side, "status")

    def hosts_memory(self) -> list[Path]:
        """The shared memory of this lab's host, if it exists."""
        tree = str(self.memory.parent / "xdma0").strip("/").replace("/", "-")
        return list(Path("/dev/shm").glob(f"vnetcard-xdma-{tree}-*"))
