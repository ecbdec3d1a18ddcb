"""Locks on a window's file: one byte a side, and one for creation.

They are open-file-description locks (fcntl(2), Linux 3.15): they belong to the open file, so they die
with its owner however it ends, and two ends in one process exclude each other as well.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.terminal.escape import printable
from vnetcard.window.contract import Pulse, at_once, no_pulse

CREATION = 2
"""The byte that is held while a window is made or removed; bytes 0 and 1 are the sides."""

_FLOCK = struct.Struct("hhqqi4x")
_FDINFO: Final = re.compile(
    r"^lock:\t\d+: (OFDLCK|POSIX|FLOCK) +\S+ +(?:READ|WRITE) +\S+ \S+:(\d+) (\d+) (\d+|EOF)$", re.MULTILINE
)
"""A lock in /proc/PID/fdinfo/FD (proc(5)): kind, inode, first and last byte."""
UNSEEN: Final = "a process that is not visible here (of another user, or in another container)"
PULSE_EVERY: Final = 0.02
"""Seconds between two calls of the pulse of a caller that waits."""


def _flock(kind: int, byte: int) -> bytes:
    return _FLOCK.pack(kind, 0, byte, 1, 0)


def try_lock(fd: int, byte: int) -> bool:
    """Lock ``byte`` of the file; False if another open file holds it."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, byte))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def lock(fd: int, byte: int, *, limit: float, what: str, pulse: Pulse = no_pulse) -> None:
    """Lock ``byte``, waiting up to ``limit`` seconds or until ``pulse`` raises: then WindowUnavailable.

    The error names the process that holds the lock; ``what`` names the window.
    """
    _wait(lambda: try_lock(fd, byte), _Wanted(fd, byte, f"the creation lock of {what}"), limit, pulse)


def lock_folder(fd: int, *, limit: float, what: str, pulse: Pulse = no_pulse) -> None:
    """Lock an open folder (flock(2)) until ``fd`` is closed, as ``lock`` does."""

    def try_folder() -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _wait(try_folder, _Wanted(fd, 0, f"the lock of the folder of {what}"), limit, pulse)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A lock that is waited for; ``name`` for messages."""

    fd: int
    byte: int
    name: str

    def busy(self, error: WindowUnavailable | None = None) -> WindowUnavailable:
        """The error that names the holder; ``error`` has ended the wait."""
        found = holder(self.fd, self.byte)
        remedy = "end it, or name another --window" if found and found.pid > 1 else "name another --window"
        words = f"{found or UNSEEN} holds {self.name}: {remedy}"
        return WindowUnavailable(f"{error}: {words}" if error else words, code=ErrorCode.WINDOW_BUSY)


def _wait(attempt: Callable[[], bool], wanted: _Wanted, limit: float, pulse: Pulse) -> None:
    now = time.monotonic()
    deadline, pulse_at = now + limit, now
    while not attempt():
        now = time.monotonic()
        if now > deadline:
            raise wanted.busy()
        if now >= pulse_at:
            pulse_at = now + PULSE_EVERY
            try:
                at_once(pulse)
            except WindowUnavailable as error:
                raise wanted.busy(error) from error
        time.sleep(0.001)


def unlock(fd: int, byte: int) -> None:
    """Unlock ``byte``."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte))


def is_locked(fd: int, byte: int) -> bool:
    """True if another open file holds ``byte``."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, byte))
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK


# --- who holds a lock -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine, and the name that the kernel has for it."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


def holder(fd: int, byte: int) -> Process | None:
    """The process that holds ``byte``; None if there is none in sight: another user's, or in another container.

    The kernel names no process for such a lock (fcntl(2): l_pid is -1), and what the window says can be forged.  Each
    process's descriptors in /proc show the locks that they hold.
    """
    inode = os.fstat(fd).st_ino
    for process in _processes():
        for info in _entries(process / "fdinfo"):
            if _has_lock(info, inode, byte) and _is_same_file(process / "fd" / info.name, fd):
                try:
                    name = (process / "comm").read_text(errors="replace").rstrip("\n")
                except OSError:
                    continue  # it has just ended
                return Process(int(process.name), printable(name))
    return None


def taken(fd: int, byte: int, what: str) -> WindowUnavailable:
    """The error for a side that another process holds; ``what`` names side and window."""
    found = holder(fd, byte)
    if found is None:
        return WindowUnavailable(f"{what} is taken by {UNSEEN}: name another --window", code=ErrorCode.WINDOW_TAKEN)
    remedy = "stop that agent, or name another --window" if found.pid > 1 else "name another --window"
    return WindowUnavailable(f"{what} is taken by {found}: {remedy}", code=ErrorCode.WINDOW_TAKEN)


def _processes() -> Iterator[Path]:
    yield from (entry for entry in _entries(Path("/proc")) if entry.name.isdigit())


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # another user's, or a process that has ended
        return []


def _has_lock(info: Path, inode: int, byte: int) -> bool:
    try:
        text = info.read_text(errors="replace")
    except OSError:
        return False
    return any(
        int(found[2]) == inode and int(found[3]) <= byte and (found[4] == "EOF" or byte <= int(found[4]))
        for found in _FDINFO.finditer(text)
    )


def _is_same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False
