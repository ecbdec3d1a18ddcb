"""CPU time and memory, of the whole machine and of single processes, from /proc."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOMENT = 0.3
"""Seconds; thirty clock ticks."""
FIRST_MOMENT = 1.0
"""Seconds over which :func:`load_elsewhere` measures."""
PROGRAMS_MAX = 5
"""The number of programs that :func:`load_elsewhere` names."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_IDLE = {3, 4}
"""Fields of idle and iowait in the first line of /proc/stat; guest time (8, 9) is contained in user time."""
_UTIME = 11
"""Field of the user time in /proc/PID/stat, counted after the name; the system time follows it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that ran while :func:`load_elsewhere` measured; ``share`` is of one core."""

    name: str
    pid: int
    share: float


def machine_seconds(text: str | None = None) -> float:
    """CPU seconds that all cores have worked since boot; ``text`` replaces /proc/stat in tests."""
    first = (text if text is not None else Path("/proc/stat").read_text()).partition("\n")[0]
    return sum(int(value) for place, value in enumerate(first.split()[1:9]) if place not in _IDLE) * _TICK


def busy_elsewhere() -> float:
    """The share of all cores that is busy while this process sleeps: other programs, when none of ours runs."""
    began, worked = time.monotonic(), machine_seconds()
    time.sleep(MOMENT)
    return _share(machine_seconds() - worked, time.monotonic() - began)


def load_elsewhere() -> tuple[float, list[Program]]:
    """The share of all cores that other programs take, and the programs that take most of it, busiest first."""
    began, worked, before = time.monotonic(), machine_seconds(), _cpu_by_process()
    time.sleep(FIRST_MOMENT)
    lasted, after = time.monotonic() - began, _cpu_by_process()
    share = _share(machine_seconds() - worked, lasted)
    used = [
        Program(name, pid, (seconds - before.get(pid, ("", 0.0))[1]) / lasted)
        for pid, (name, seconds) in after.items()
        if pid != os.getpid()
    ]
    used.sort(key=lambda one: -one.share)
    return share, [one for one in used[:PROGRAMS_MAX] if one.share >= 0.05]


def _share(cpu_seconds: float, seconds: float) -> float:
    """Of all cores; at most 1, which the rounding to clock ticks could exceed."""
    return min(1.0, cpu_seconds / (seconds * (os.cpu_count() or 1)))


def _cpu_by_process() -> dict[int, tuple[str, float]]:
    """Name and CPU seconds of every process, by pid."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            head, _, tail = path.read_text(errors="replace").rpartition(")")  # the name may hold brackets, too
            fields = tail.split()
            seconds = (int(fields[_UTIME]) + int(fields[_UTIME + 1])) * _TICK
            found[int(path.parent.name)] = (head.partition("(")[2], seconds)
    return found


def process_seconds(pids: Iterable[int]) -> float:
    """CPU seconds of all threads of ``pids``, with nanosecond resolution; a process that has ended counts nothing."""
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
    """MiB of memory of ``pids``; what they share counts once (PSS)."""
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024
