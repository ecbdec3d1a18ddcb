"""The command register of a PCI function: may it write and read memory by itself?"""

from __future__ import annotations

import os
from typing import Final

_COMMAND: Final = 4
"""Offset of the command register in a function's configuration."""
_BUS_MASTER: Final = 1 << 2


def is_bus_master(fd: int, start: int = 0) -> bool:
    """May the function do so?  Its configuration begins at ``start`` of ``fd``; raises OSError."""
    return bool(_command(fd, start) & _BUS_MASTER)


def set_bus_master(fd: int, start: int = 0, *, on: bool = True) -> None:
    """Let the function be a bus master, or not; raises OSError."""
    command = _command(fd, start)
    wanted = command | _BUS_MASTER if on else command & ~_BUS_MASTER
    os.pwrite(fd, wanted.to_bytes(2, "little"), start + _COMMAND)


def _command(fd: int, start: int) -> int:
    return int.from_bytes(os.pread(fd, 2, start + _COMMAND), "little")
