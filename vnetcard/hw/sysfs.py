"""The machine as its files below /sys, /dev and /proc show it, and the user that this process runs as."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def system(path: str) -> Path:
    """``path`` of /sys, /dev or /proc; below ``VNETCARD_SYSROOT`` where a test has set that."""
    return Path(os.environ.get("VNETCARD_SYSROOT", "/"), path.lstrip("/"))


def _may(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=True)


@dataclass(frozen=True, slots=True)
class System:
    """The roots of these files; ``may`` tells whether this process may open a file for reading and writing."""

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
        """This machine, or the tree at VNETCARD_SYSROOT in its place, and this process."""
        return cls(
            sys=system("/sys"),
            dev=system("/dev"),
            proc=system("/proc"),
            uid=os.geteuid(),
            release=os.uname().release,
            machine=os.uname().machine,
            cpus=len(os.sched_getaffinity(0)),
        )

    @property
    def kernel(self) -> tuple[int, int]:
        """(6, 1) of ``6.1.0-40-amd64``; (0, 0) if the release does not begin with two numbers."""
        numbers = self.release.split("-")[0].split(".")
        if len(numbers) < 2 or not (numbers[0].isdigit() and numbers[1].isdigit()):
            return 0, 0
        return int(numbers[0]), int(numbers[1])


def text(path: Path) -> str | None:
    """The contents of a small file without surrounding blanks; None if it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace").strip("\0\n\t ")
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The number in a small file, decimal or 0x...; None if there is none."""
    try:
        return int(text(path) or "", 0)
    except ValueError:
        return None


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """The entries of a folder, in the order of the numbers in their names; none if it cannot be read."""
    try:
        found = list(folder.glob(pattern))
    except OSError:
        return []
    return sorted(found, key=lambda path: (len(path.name), path.name))


_RANGE = re.compile(r"\s*([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM")


def kernel_ram(system: System, start: int, size: int) -> str | None:
    """The range of the kernel's own RAM that the ``size`` bytes at ``start`` overlap, or None.

    /proc/iomem shows addresses to root alone; for other users the answer is None.
    """
    for line in (text(system.proc / "iomem") or "").splitlines():
        if match := _RANGE.fullmatch(line):
            first, last = int(match[1], 16), int(match[2], 16)
            if last and first < start + size and start <= last:
                return f"{match[1]}-{match[2]}"
    return None
