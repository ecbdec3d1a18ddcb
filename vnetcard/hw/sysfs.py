"""The machine as the doctor sees it: files below /sys, /dev and /proc, and who we are."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vnetcard.window.device import system


def _may(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=True)


@dataclass(frozen=True, slots=True)
class System:
    """Where to look; ``may`` answers whether this process may open a file for reading and writing."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    uid: int = 0
    release: str = ""
    machine: str = ""
    cpus: int = 1
    may: Callable[[Path], bool] = _may

    @classmethod
    def here(cls) -> System:
        """This machine, or what VNETCARD_SYSROOT shows in its place, and this process."""
        return cls(
            sys=system("/sys"),
            dev=system("/dev"),
            proc=system("/proc"),
            uid=os.geteuid(),
            release=platform.release(),
            machine=platform.machine(),
            cpus=len(os.sched_getaffinity(0)),
        )

    @property
    def kernel(self) -> tuple[int, int]:
        """(6, 1) of ``6.1.0-40-amd64``; (0, 0) when it cannot be told."""
        numbers = self.release.split("-")[0].split(".")
        if len(numbers) < 2 or not (numbers[0].isdigit() and numbers[1].isdigit()):
            return 0, 0
        return int(numbers[0]), int(numbers[1])


def text(path: Path) -> str | None:
    """What a small file says, without blanks around it; None when it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace").strip("\0\n\t ")
    except OSError:
        return None


def number(path: Path) -> int | None:
    """A number, decimal or 0x..., in a small file; None when there is none."""
    try:
        return int(text(path) or "", 0)
    except ValueError:
        return None


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """What is in a folder, in the order of the numbers in the names; nothing when it cannot be read."""
    try:
        found = list(folder.glob(pattern))
    except OSError:
        return []
    return sorted(found, key=lambda path: (len(path.name), path.name))
