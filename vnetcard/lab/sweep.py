"""Removes what a lab that was killed by SIGKILL left behind: namespaces, memory, sockets."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.lab.lab import ip
from vnetcard.window import run_folder

NETNS: Final = Path("/run/netns")
SHM: Final = Path("/dev/shm")


def sweep(tag: str) -> list[str]:
    """Remove all that is named after ``tag`` and a process that has ended; returns the names."""
    ours = re.compile(rf"vnetcard-{re.escape(tag)}-([0-9]+)(?![0-9])")
    gone = []
    for folder in (NETNS, SHM, run_folder.folder()):
        for path in sorted(folder.glob(f"*vnetcard-{tag}-*")):
            found = ours.search(path.name)
            if found and not _lives(int(found[1])) and _remove(path):
                gone.append(path.name)
    return gone


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove(path: Path) -> bool:
    with contextlib.suppress(OSError, ConfigError):  # another user's, or removed by another process meanwhile
        if path.parent == NETNS:
            ip("netns", "del", path.name)
        else:
            path.unlink()
        return True
    return False
