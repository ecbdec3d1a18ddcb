"""``memfd:NAME[?OPTIONS][+SIZE]``, ``memfd:SOCKET...``: memory without a name, which its two agents give each other.

The memory is a sealed memfd (memfd_create(2)): nobody can cut it short, and its pages are allocated from the start.
Each agent that has it listens on a socket of its side, ``SOCKET.host`` or ``SOCKET.card``, and passes it on
(``memfd_socket.py``).  An agent that starts gets the memory from its peer's, and makes new memory if there is none; so
either may be killed and started again, and the other one keeps window and counters.  A lock on the sockets' folder
lets one agent start at a time.  ``NAME`` without a '/' is ``NAME.memfd`` in the folder of the control sockets.
``owner=USER`` and ``group=GROUP`` let other users share the memory (``trust.py``).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.ring import layout as L
from vnetcard.window import locks, run_folder, trust
from vnetcard.window.contract import Pulse, Request
from vnetcard.window.creation import Opener
from vnetcard.window.file_backed import BackedWindow, open_backed
from vnetcard.window.memfd_socket import Giver, get_memory, owner_of
from vnetcard.window.trust import Sharing

PATH_MAX: Final = 107 - len(".host")
"""Bytes of a socket's path (unix(7))."""
SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MFD_NOEXEC_SEAL: Final = 0x8
FOLDER_LIMIT: Final = 20.0
"""Seconds to wait for another agent that starts, which may have to allocate 1 GiB."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sockets of a window are; ``by_name``: in the agents' folder, which is made if it is missing."""

    url: str
    socket: Path
    by_name: bool
    sharing: Sharing

    @classmethod
    def parse(cls, place: str) -> Place:
        """Raises ConfigError for a bad name, a path that is too long, and unknown options."""
        bare, sharing = trust.split_sharing(place, f"memfd:{place}")
        url, by_name = f"memfd:{bare}", "/" not in bare
        path = run_folder.folder() / f"{bare}.memfd" if by_name else Path(bare)
        if len(os.fsencode(path)) > PATH_MAX or path.name in ("", ".", "..") or bare.endswith("/"):
            raise ConfigError(
                f"invalid window URL {url!r}: expected a name, or the path of a socket of at most {PATH_MAX} bytes",
                code=ErrorCode.BAD_URL,
            )
        return cls(url, path, by_name, sharing)

    def of_side(self, side: int) -> Path:
        """The socket of an agent."""
        return self.socket.with_name(f"{self.socket.name}.{L.SIDES[side]}")


class MemfdWindow:
    """A window in sealed memory; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, place: Place, window: BackedWindow, giver: Giver) -> None:
        self._place, self._window, self._giver = place, window, giver
        self.url, self.memory, self.geometry, self.notes = window.url, window.memory, window.geometry, window.notes
        self.restored = window.restored
        self.futex_wake = True
        self.engine = None
        self.interrupts = None

    def spans(self) -> memoryview:
        """The window's bytes for bulk transfers, without barriers; release it before ``close``."""
        return self._window.spans()

    def vanished(self) -> str | None:
        return self._window.vanished() or self._giver.vanished()

    def close(self) -> None:
        self._giver.close()
        self._window.close()
        if self._place.by_name:
            _remove_if_empty(self._place.socket.parent)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not empty: other agents use it
        folder.rmdir()


def open_window(request: Request) -> MemfdWindow:
    """Get the memory from the peer's agent, or make it; see ``vnetcard.window.open_window``."""
    place = Place.parse(request.place)
    own = place.of_side(request.side)
    with _only_one(place, request.pulse):
        if owner := owner_of(own):
            remedy = "stop that agent, or name another --window" if owner.pid > 1 else "name another --window"
            raise WindowUnavailable(
                f"the {L.SIDES[request.side]} side of {place.url} is taken by {owner}: {remedy}",
                code=ErrorCode.WINDOW_TAKEN,
            )
        window = open_backed(_opener(place, request), request)
        try:
            _seal(window.fileno())
            return MemfdWindow(place, window, _give(place, own, window.fileno()))
        except BaseException:
            window.close()
            raise


def _seal(fd: int) -> None:
    if not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)


def _opener(place: Place, request: Request) -> Opener:
    """``remove``: forget the memory of a peer that has just ended, so that ``open`` makes another."""
    theirs = place.of_side(1 - request.side)
    forgotten = False

    def open_memory() -> int:
        peers = None if forgotten else get_memory(theirs, place.url, place.sharing, request.pulse)
        try:
            return _checked(place, peers) if peers is not None else _make()
        except OSError as error:
            raise WindowUnavailable(
                f"{place.url}: cannot make or open its memory ({error.strerror})", code=code_of(error)
            ) from error

    def forget() -> None:
        nonlocal forgotten
        forgotten = True

    return Opener(place.url, None, open_memory, forget, blank_is_ours=True)


def _make() -> int:
    try:
        fd = os.memfd_create("vnetcard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _MFD_NOEXEC_SEAL)
    except OSError:  # a kernel before 6.3 knows no such flag
        fd = os.memfd_create("vnetcard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(fd, 0o666)  # it has no name: who was given the memory may open it again
    return fd


def _checked(place: Place, fd: int) -> int:
    """``fd``, which a peer has sent, opened again: locks belong to an open file; WindowUnavailable if not sealed."""
    try:
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError:
            seals = 0  # not a memfd
        if seals & SEALS != SEALS:
            raise trust.refusal(place.url, "the peer's agent sent memory that is not sealed and could be cut short")
        return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(fd)


def _give(place: Place, own: Path, fd: int) -> Giver:
    try:
        return Giver(own, fd, place.sharing)
    except OSError as error:
        raise WindowUnavailable(
            f"{place.url}: cannot listen at {own} ({error.strerror or error}): name a socket in a folder that you may "
            "write",
            code=code_of(error),
        ) from error


@contextlib.contextmanager
def _only_one(place: Place, pulse: Pulse) -> Iterator[None]:
    """Hold the lock of the sockets' folder, in which nobody else could put a socket; makes the folder if it may."""
    try:
        fd = run_folder.retry(lambda: _lock_folder(place, pulse))
    except OSError as error:
        raise WindowUnavailable(
            f"{place.url}: cannot open the folder {place.socket.parent} ({error.strerror}): name a socket in a folder "
            "that you may write",
            code=code_of(error),
        ) from error
    try:
        yield
    finally:
        os.close(fd)  # which unlocks it


def _lock_folder(place: Place, pulse: Pulse) -> int:
    """The sockets' folder, open and locked; OSError, FileNotFoundError also where it was removed meanwhile."""
    folder = place.socket.parent
    if place.by_name:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        trust.check_folders(place.socket, place.url, place.sharing)
        locks.lock_folder(fd, limit=FOLDER_LIMIT, what=place.url, pulse=pulse)
        if place.by_name and not os.fstat(fd).st_nlink:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes, from whichever agent gives it."""
    where = Place.parse(place)
    with contextlib.suppress(FileNotFoundError):
        found = run_folder.trusted_in(where.socket.parent)
        where = replace(where, sharing=replace(where.sharing, owner=where.sharing.owner or found.owner))
    for side in (L.HOST, L.CARD):
        fd = get_memory(where.of_side(side), where.url, where.sharing)
        if fd is not None:
            try:
                size = min(os.fstat(fd).st_size, L.WINDOW_MAX)
                return os.pread(fd, size if limit is None else min(size, limit), 0)
            finally:
                os.close(fd)
    raise WindowUnavailable(
        f"{where.url}: no agent has it (no socket {where.of_side(L.HOST)} or {where.of_side(L.CARD)} answers): "
        "start vnetcard-x86 or vnetcard-fpga",
        code=ErrorCode.WINDOW_MISSING,
    )
