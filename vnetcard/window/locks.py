"""Locks on a window's file: one byte a side, and one for creation.

They are open-file-description locks (fcntl(2), Linux 3.15): they belong to the open file, so they die
with its owner however it ends, and two ends in one process exclude each other as well.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import time

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable

CREATION = 2
"""The byte that is held while a window is made or removed; bytes 0 and 1 are the sides."""

_FLOCK = struct.Struct("hhqqi4x")


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


def lock(fd: int, byte: int, *, limit: float, what: str) -> None:
    """Lock ``byte``, waiting up to ``limit`` seconds; WindowUnavailable, saying ``what``, after that."""
    deadline = time.monotonic() + limit
    while not try_lock(fd, byte):
        if time.monotonic() > deadline:
            raise WindowUnavailable(
                f"{what}: another process has held its creation lock for {limit:.0f} s; end it",
                code=ErrorCode.WINDOW_BUSY,
            )
        time.sleep(0.001)


def lock_folder(fd: int, *, limit: float, what: str) -> None:
    """Lock an open folder (flock(2)) until ``fd`` is closed, as ``lock`` does."""
    deadline = time.monotonic() + limit
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise WindowUnavailable(
                    f"{what}: another process has held the lock of its folder for {limit:.0f} s; end it",
                    code=ErrorCode.WINDOW_BUSY,
                ) from None
            time.sleep(0.001)
        else:
            return


def unlock(fd: int, byte: int) -> None:
    """Unlock ``byte``."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte))


def is_locked(fd: int, byte: int) -> bool:
    """True if another open file holds ``byte``."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, byte))
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK
