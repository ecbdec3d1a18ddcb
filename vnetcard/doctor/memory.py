"""Windows in this machine's memory: the objects in /dev/shm and the sides that use them.  Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.errors import LayoutMismatch
from vnetcard.hw.sysfs import System, entries
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.terminal.sizes import human
from vnetcard.window import locks, sim_bus

SIM_PREFIX = sim_bus.bus_name("")


def inspect(system: System) -> list[Finding]:
    """The free room, the windows and the simulations of /dev/shm."""
    folder = system.dev / "shm"
    if not folder.is_dir():
        fix = f"`mount -t tmpfs tmpfs {folder}`"
        return [Finding("shm", "shm", Verdict.FAIL, f"there is no {folder}", fix, ErrorCode.WINDOW_MISSING)]
    return [_room(folder), *(finding for path in entries(folder) for finding in _object(path))]


def _room(folder: Path) -> Finding:
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    words = f"{folder}: {free >> 20} MiB free"
    if free < L.WINDOW_DEFAULT:
        fix = "remove what lies in it, or ask for a smaller window: shm:NAME+64K"
        words += f", a window takes {human(L.WINDOW_DEFAULT)}"
        return Finding("shm", "room", Verdict.WARN, words, fix, FindingCode.ROOM)
    return Finding("shm", "room", Verdict.OK, words)


def _object(path: Path) -> Iterator[Finding]:
    """A finding about a window or a simulation; none about any other file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        header, size = os.pread(fd, HEADER_BYTES, 0), os.fstat(fd).st_size
        magic = int.from_bytes(header[:8], "little")
        if magic == sim_bus.MAGIC:
            yield _simulation(path, fd)
        elif magic == L.MAGIC and not path.name.startswith(SIM_PREFIX):
            yield _window(path, fd, header, size)
    except OSError:
        return
    finally:
        os.close(fd)


def _simulation(path: Path, fd: int) -> Finding:
    name = path.name.removeprefix(SIM_PREFIX)
    if locks.is_locked(fd, sim_bus.LOCK_BYTE):
        return Finding("sim", name, Verdict.OK, f"running: --window sim:{name}")
    words, fix = "was killed; its memories are left", f"`vnetcard-sim {name}` takes over"
    return Finding("sim", name, Verdict.WARN, words, fix, FindingCode.LEFT_BEHIND)


def _window(path: Path, fd: int, header: bytes, size: int) -> Finding:
    try:
        words = Geometry.decode(header, size).describe()
    except LayoutMismatch as error:
        return Finding("shm", path.name, Verdict.WARN, str(error), f"`rm {path}`, if nothing uses it", error.code)
    held = [L.SIDES[side] for side in (L.HOST, L.CARD) if locks.is_locked(fd, side)]
    return Finding("shm", path.name, Verdict.OK, f"{words}; in use by {' and '.join(held) or 'no agent'}")
