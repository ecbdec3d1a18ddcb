"""Windows in this machine's memory: what lies in /dev/shm, and who uses it.  Only looks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.errors import LayoutMismatch
from vnetcard.hw.sysfs import System, entries
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, human
from vnetcard.window import locks, sim_bus

SIM_PREFIX = sim_bus.bus_name("")


def look(system: System) -> list[Finding]:
    """/dev/shm's room, windows and simulations."""
    folder = system.dev / "shm"
    if not folder.is_dir():
        return [Finding("shm", "shm", Verdict.FAIL, f"there is no {folder}", f"`mount -t tmpfs tmpfs {folder}`")]
    return [_room(folder), *(finding for path in entries(folder) for finding in _object(path))]


def _room(folder: Path) -> Finding:
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    words = f"{folder}: {free >> 20} MiB free"
    if free < L.WINDOW_DEFAULT:
        fix = "remove what lies in it, or ask for a smaller window: shm:NAME+64K"
        return Finding("shm", "room", Verdict.WARN, f"{words}, a window takes {human(L.WINDOW_DEFAULT)}", fix)
    return Finding("shm", "room", Verdict.OK, words)


def _object(path: Path) -> Iterator[Finding]:
    """A finding about a file that is ours; none about others' files."""
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
    return Finding("sim", name, Verdict.WARN, "was killed; its memories are left", f"`vnetcard-sim {name}` takes over")


def _window(path: Path, fd: int, header: bytes, size: int) -> Finding:
    try:
        words = Geometry.decode(header, size).describe()
    except LayoutMismatch as error:
        return Finding("shm", path.name, Verdict.WARN, str(error), f"`rm {path}`, if nothing uses it")
    held = [L.SIDES[side] for side in (L.HOST, L.CARD) if locks.is_locked(fd, side)]
    return Finding("shm", path.name, Verdict.OK, f"{words}; in use by {' and '.join(held) or 'nobody'}")
