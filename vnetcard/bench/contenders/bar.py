"""``bar``: the two agents with the copies, barriers and pauses that a PCI BAR requires, over plain RAM in its place.

This is the cost of the software; the reads of a real BAR, which cross PCIe one by one, add to it (docs/windows.md).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from vnetcard.bench.contenders.agents import AgentsContender
from vnetcard.ring import layout as L

START = 0x1000_0000
"""The offset of the window in the file that replaces /dev/mem; a hole precedes it."""


class BarContender(AgentsContender):
    """See ``vnetcard.bench.contenders.Contender``; its ``mem:`` window is in a file (``VNETCARD_SYSROOT``)."""

    def __init__(self) -> None:
        super().__init__()
        self._window = f"mem:{START:#x}+{L.WINDOW_DEFAULT}"
        self._made = contextlib.ExitStack()

    def prepare(self) -> None:
        root = Path(tempfile.mkdtemp(prefix="vnetcard-bench-", dir="/dev/shm"))
        self._made.callback(shutil.rmtree, root, ignore_errors=True)
        for folder in ("dev", "proc"):
            (root / folder).mkdir()
        (root / "dev/mem").touch()
        os.truncate(root / "dev/mem", START + L.WINDOW_DEFAULT)
        (root / "proc/iomem").write_text("00001000-0fffffff : System RAM\n")
        os.environ["VNETCARD_SYSROOT"] = str(root)
        self._made.callback(os.environ.pop, "VNETCARD_SYSROOT")
        super().prepare()

    def close(self) -> None:
        super().close()
        self._made.close()
