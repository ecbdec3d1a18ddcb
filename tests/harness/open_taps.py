"""Which tap memories an agent has open, found in /proc: whether `trace` or `capture` is attached to it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vnetcard.errors import LayoutMismatch
from vnetcard.ring.tap_shm import Reader


def tap_memories(pid: int) -> list[str]:
    """The tap memories that a process has open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "vnetcard-tap" in str(fd.readlink()):
                found.append(str(fd))
    return found


def has_open_tap(pid: int) -> bool:
    """Whether it has a tap memory into which its pumps write."""
    states = []
    for path in tap_memories(pid):
        fd = os.open(path, os.O_RDWR)
        with contextlib.closing(os.fdopen(fd)), contextlib.suppress(LayoutMismatch):  # the agent is still making it
            reader = Reader(fd)
            states.append(reader.state)
            reader.close()
    return "OPEN" in states
