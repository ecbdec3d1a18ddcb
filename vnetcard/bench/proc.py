"""CPU time and memory, of the whole machine and of single processes, as /proc has them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

MOMENT = 0.3
"""Seconds; a clock tick is a thirtieth of it."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_IDLE = {3, 4}
"""Places of idle and iowait in the first line of /proc/stat; guest time (8, 9) is in user time already."""


def machine_seconds(text: str | None = None) -> float:
    """CPU seconds that all cores have worked since the machine started; ``text`` stands for /proc/stat in tests."""
    first = (text if text is not None else Path("/proc/stat").read_text()).partition("\n")[0]
    return sum(int(value) for place, value in enumerate(first.split()[1:9]) if place not in _IDLE) * _TICK


def busy_elsewhere() -> float:
    """The share of all cores that works while we wait for a moment: other programs, when none of ours runs."""
    began, worked = time.monotonic(), machine_seconds()
    time.sleep(MOMENT)
    return (machine_seconds() - worked) / ((time.monotonic() - began) * (os.cpu_count() or 1))


def process_seconds(pids: Iterable[int]) -> float:
    """CPU seconds of all threads of ``pids``, to the nanosecond; a process that has gone counts nothing."""
    nanoseconds = 0
    for pid in pids:
        for task in _tasks(pid):
            with contextlib.suppress(OSError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def process_mib(pids: Iterable[int]) -> float:
    """MiB of memory of ``pids``, where what they share counts once (PSS)."""
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024
