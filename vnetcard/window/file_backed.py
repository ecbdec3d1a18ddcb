"""Windows that are a mapped file: the part that ``shm:`` and ``file:`` share.

Creation is free of races: a process that opens the file holds its creation lock while it reads and creates, so other
processes find the file either complete or empty.  A file that was removed in the meantime has no name left (st_nlink
is 0) and is opened again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import LayoutMismatch, VnetcardError, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, speaks_our_format
from vnetcard.ring.sideblock import SideBlock
from vnetcard.terminal.sizes import human
from vnetcard.window import locks, trust
from vnetcard.window.contract import Pulse, Request, no_pulse
from vnetcard.window.creation import Opener, create, fill_holes, plan_of, planned
from vnetcard.window.superblock import RESTORE_LIMIT, Superblock

CREATION_LIMIT = 20.0
"""Seconds to wait for another creator, which may have to fill 1 GiB on a slow disk."""
REMOVAL_LIMIT = 0.1
"""Seconds to wait for it when a window is closed: then the file stays, as the other process may be opening it."""


class _Damaged(Exception):
    """The superblock of a window is not readable, and the peer's agent, which runs, restores it."""


class BackedWindow:
    """A window on a mapped file; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, opener: Opener, fd: int, side: int, geometry: Geometry, notes: tuple[str, ...]) -> None:
        self._opener = opener
        self._fd = fd
        self._side = side
        self._map = mmap.mmap(fd, geometry.window_bytes)
        self.url = opener.url
        self.memory = Memory(self._map, check=SystemRandom().getrandbits(64) if opener.checked else None)
        self._superblock = Superblock(
            self.memory, side, geometry, lambda count: os.pread(fd, count, 0), sole=opener.one_sided
        )
        self.restored = self._superblock.restored
        own = SideBlock(self.memory, side)
        own.write_identity()  # a second opener's message names this process
        own.store("layout", geometry.checksum)
        self.geometry = geometry
        self.notes = notes
        self.futex_wake = not opener.checked
        self.engine = None
        self.interrupts = None

    def spans(self) -> memoryview:
        """The window's bytes for bulk transfers, without barriers; release it before ``close``."""
        return memoryview(self._map)

    def fileno(self) -> int:
        """The descriptor of the file, which holds the locks."""
        return self._fd

    def vanished(self) -> str | None:
        state = os.fstat(self._fd)
        if state.st_nlink == 0 and self._opener.path is not None:
            return f"{self.url} was deleted"
        if state.st_size < self.geometry.window_bytes:
            return f"{self.url} was cut to {state.st_size} bytes"
        if not self._superblock.check():  # cut, and laid out again by the peer's agent
            return f"{self.url} was laid out again under this agent"
        if self._opener.path is not None and not _is_at(self._opener.path, self._fd):
            return f"{self.url} was moved away or replaced by another file"
        if self.memory.lost:
            return f"a part of the memory of {self.url} is missing: its file system had no room for it"
        return None

    def close(self) -> None:
        """As ``Window.close``; WindowUnavailable, when all else is done, if the file could not be removed."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.ExitStack() as last:  # each part also where another one fails
            last.callback(os.close, fd)  # which unlocks the side
            last.callback(self._remove_if_last, fd)
            last.callback(self._map.close)
            last.callback(self.memory.close)

    def _remove_if_last(self, fd: int) -> None:
        path = self._opener.path
        if not self.geometry.removable or path is None:
            return
        try:
            if not _is_named(path, fd):
                return
            with _creation_lock(fd, self.url, REMOVAL_LIMIT):
                if not locks.is_locked(fd, 1 - self._side) and _is_at(path, fd):
                    self._opener.remove()
                locks.unlock(fd, self._side)
        except OSError as error:
            if _is_at(path, fd):
                raise WindowUnavailable(
                    f"{self.url}: cannot remove {path} ({error.strerror}): remove it, if no agent uses it",
                    code=code_of(error),
                ) from error


@contextlib.contextmanager
def _creation_lock(fd: int, url: str, limit: float, pulse: Pulse = no_pulse) -> Iterator[None]:
    locks.lock(fd, locks.CREATION, limit=limit, what=url, pulse=pulse)
    try:
        yield
    finally:
        locks.unlock(fd, locks.CREATION)


def open_backed(opener: Opener, request: Request) -> BackedWindow:
    """Open or create the window behind ``opener``; raises as ``vnetcard.window.open_window`` says."""
    if (request.size, request.queue_bytes, request.queues) != (None, None, None):
        plan_of(request, removable=True)  # refuse a size out of range before anything is changed
    notes: list[str] = []
    deadline = time.monotonic() + RESTORE_LIMIT
    while True:
        fd, window = opener.open(), None
        try:
            if opener.path is not None and _is_there(opener, fd):
                _check_file(opener.path, opener, fd)
            with _creation_lock(fd, opener.url, CREATION_LIMIT, request.pulse):
                patient = time.monotonic() < deadline
                window = _open_settled(opener, fd, request, notes, patient=patient) if _is_there(opener, fd) else None
            if window is not None:
                return window
        except _Damaged:
            os.close(fd)
            request.pulse()
            time.sleep(0.1)
            continue
        except OSError as error:
            if window is not None:  # it could not be unlocked: the descriptor's end does that
                with contextlib.suppress(OSError, VnetcardError):
                    window.close()
            else:
                if opener.blank_is_ours and opener.path is not None:
                    _remove_blank(opener, opener.path, fd)
                os.close(fd)
            raise WindowUnavailable(
                f"{opener.url}: cannot use {opener.path or 'its memory'} ({error.strerror}); name another --window",
                code=code_of(error),
            ) from error
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _remove_blank(opener: Opener, path: Path, fd: int) -> None:
    """Remove a file that was just made and could not be locked; one who creates a window in it makes another."""
    with contextlib.suppress(OSError):
        if os.fstat(fd).st_size == 0 and _is_at(path, fd):
            opener.remove()


def _open_settled(opener: Opener, fd: int, request: Request, notes: list[str], *, patient: bool) -> BackedWindow | None:
    """The window of the open file, with the creation lock held; None as ``_settle``.  A file made here goes with it."""
    made = os.fstat(fd).st_size == 0
    try:
        geometry = _settle(opener, fd, request, notes, patient=patient)
        # The pid is written while the creation lock is held.
        return BackedWindow(opener, fd, request.side, geometry, tuple(notes)) if geometry else None
    except VnetcardError:
        raise  # of another process's window; what ``create`` has made it has removed
    except BaseException:
        if made and opener.path is not None and _is_at(opener.path, fd):
            with contextlib.suppress(OSError):
                opener.remove()
        raise


def _is_there(opener: Opener, fd: int) -> bool:
    """Whether the file still has its name."""
    return opener.path is None or os.fstat(fd).st_nlink > 0


def _is_at(path: Path, fd: int) -> bool:
    """Whether the open file is the one at ``path`` now."""
    with contextlib.suppress(OSError):
        return _is_named(path, fd)
    return False


def _is_named(path: Path, fd: int) -> bool:
    """As ``_is_at``; OSError where that cannot be found out."""
    try:
        there, ours = path.lstat(), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _check_file(path: Path, opener: Opener, fd: int) -> None:
    """Refuse a file that others may change; one with other contents for these: its permissions are to stay."""
    try:
        trust.check_file(fd, path, opener.url, opener.sharing)
    except WindowUnavailable as error:
        header = os.pread(fd, HEADER_BYTES, 0) if error.code == ErrorCode.WINDOW_UNTRUSTED else b""
        if any(header[:8]) and not speaks_our_format(header):
            try:
                Geometry.decode(header, os.fstat(fd).st_size)
            except LayoutMismatch as mismatch:
                raise _unusable(opener, mismatch, peer=False) from None
        raise


def _unusable(opener: Opener, error: LayoutMismatch, *, peer: bool) -> LayoutMismatch:
    remedy = "stop the peer's agent, then remove" if peer else "remove, if nothing uses it,"
    return LayoutMismatch(f"{opener.url}: {error}; {remedy} {opener.path}, or name another --window")


def _settle(opener: Opener, fd: int, request: Request, notes: list[str], *, patient: bool) -> Geometry | None:
    """With the creation lock held: lock this side and settle the geometry; None: the file is gone, open it again.

    ``patient``: raise _Damaged where the peer's agent may still restore the superblock.
    """
    size = os.fstat(fd).st_size
    header = os.pread(fd, HEADER_BYTES, 0)
    if not locks.try_lock(fd, request.side):
        raise locks.taken(fd, request.side, f"the {L.SIDES[request.side]} side of {opener.url}")
    if size == 0:
        return create(opener, fd, request, removable=True)
    peer = locks.is_locked(fd, 1 - request.side)
    patient = patient and peer and not opener.one_sided
    if header[:8] == bytes(8):
        if patient:
            raise _Damaged
        if opener.blank_is_ours and size < L.WINDOW_MIN:
            opener.remove()
            return None
        return create(opener, fd, request, removable=opener.blank_is_ours, size=size)
    try:
        geometry = Geometry.decode(header, size)
    except LayoutMismatch as error:
        if patient:
            raise _Damaged from None
        if not opener.one_sided and (peer or not speaks_our_format(header)):
            raise _unusable(opener, error, peer=peer) from None
        notes.append(f"{opener.url}: {error}; no agent uses it, so it is replaced")
        return _replace(opener, fd, request, size)
    wanted = planned(request, size) if opener.one_sided else request
    wrong = wanted.objection(geometry)
    if not wrong:
        fill_holes(opener, fd, geometry.window_bytes)
        return geometry
    if peer:
        raise LayoutMismatch(f"{opener.url}: {wrong}, and the peer's agent is using it: ask for the same or stop it")
    if not geometry.removable and not opener.one_sided:  # a virtual machine may have it mapped, and those hold no lock
        raise LayoutMismatch(f"{opener.url}: {wrong}, and {opener.path} is not the agents' own: ask for the same")
    notes.append(f"{opener.url}: {wrong}; no agent uses it, so it is replaced")
    return _replace(opener, fd, request, size)


def _replace(opener: Opener, fd: int, request: Request, size: int) -> Geometry | None:
    if opener.one_sided:
        return create(opener, fd, request, removable=False, size=size)
    opener.remove()
    return None


def read_backed(path: Path, url: str, limit: int | None) -> bytes:
    """A copy of the file's first ``limit`` bytes, at most of those that it has now.

    Raises WindowUnavailable when it cannot be read, is not a regular file, or is larger than any window.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode):
                raise WindowUnavailable(f"{url}: {path} is not a regular file", code=ErrorCode.BAD_URL)
            if state.st_size > L.WINDOW_MAX and limit is None:
                raise WindowUnavailable(
                    f"{url}: {path} has {human(state.st_size)}, a window at most {human(L.WINDOW_MAX)}",
                    code=ErrorCode.WINDOW_SIZE,
                )
            return file.read(state.st_size if limit is None else min(limit, state.st_size))
    except OSError as error:
        raise WindowUnavailable(f"{url}: cannot read {path} ({error.strerror})", code=code_of(error)) from error
