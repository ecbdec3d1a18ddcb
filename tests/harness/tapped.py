"""Whether an agent is being looked at, as seen from outside: the tap segments that it lends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vnetcard.ring.tap_shm import Reader


def lent(pid: int) -> list[str]:
    """The tap segments that a process has open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "vnetcard-tap" in str(fd.readlink()):
                found.append(str(fd))
    return found


def opened(pid: int) -> bool:
    """Does it lend a segment into which its pumps write?"""
    states = []
    for path in lent(pid):
        fd = os.open(path, os.O_RDWR)
        reader = Reader(fd)
        os.close(fd)
        states.append(reader.state)
        reader.close()
    return "OPEN" in states
