"""How a window's file is opened by its kind, and given its size and its superblock."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import Final

from vnetcard._core import allocate
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.terminal.sizes import human
from vnetcard.window.contract import Request
from vnetcard.window.trust import ALONE, Sharing

LARGE_RING: Final = 1 << 20
"""Bytes of a ring from which on a stream gains little by a larger one; smaller ones are not divided unasked."""


@dataclass(frozen=True, slots=True)
class Opener:
    """How a kind of window reaches its file: open or create (mode 0600), remove (OSError); ``url`` for messages.

    ``path`` None: the memory has no name; ``open`` checks it, and ``remove`` makes the next ``open`` make another.
    ``sharing``: who may have the file beside this user and root; ``open_backed`` refuses any other file.
    ``blank_is_ours``: a file of zeros was left by a creator that was killed; False: another program made it for us.
    ``one_sided``: the peer has another memory, so a window that does not fit is replaced in place.
    ``checked``: the memory enforces the rules of device memory, and stores to it wake no sleeper.
    """

    url: str
    path: Path | None
    open: Callable[[], int]
    remove: Callable[[], None]
    blank_is_ours: bool
    sharing: Sharing = ALONE
    one_sided: bool = False
    checked: bool = False

    @property
    def folder(self) -> str:
        """Where the memory is, for messages."""
        return str(self.path.parent) if self.path else "memory"


def planned(request: Request, size: int) -> Request:
    """``request`` with its defaults: with no peer to agree with, the sizes of an earlier owner do not count."""
    plan = plan_of(request, removable=False, size=size)
    return replace(request, size=plan.window_bytes, queue_bytes=plan.ring_bytes, queues=len(plan.rings))


def plan_of(request: Request, *, removable: bool, size: int | None = None) -> Geometry:
    """The geometry of a new window in a file of ``size`` bytes, or of what was asked for.  ConfigError."""
    wanted = request.size or size or L.WINDOW_DEFAULT
    if size is not None and wanted > size:
        raise ConfigError(
            f"asked for {human(wanted)}, the file has {human(size)}: ask for that, or remove the file",
            code=ErrorCode.WINDOW_SIZE,
        )
    instance = SystemRandom().randrange(1, 1 << 32)

    def plan(queues: int) -> Geometry:
        return Geometry.plan(
            wanted, queue_bytes=request.queue_bytes, queues=queues, instance=instance, removable=removable
        )

    if request.queues is None and request.new_queues > 1:
        with contextlib.suppress(ConfigError):
            several = plan(request.new_queues)
            if several.ring_bytes >= LARGE_RING:
                return several
    return plan(request.queues or 1)


def create(opener: Opener, fd: int, request: Request, *, removable: bool, size: int | None = None) -> Geometry:
    """Give the file its size and its superblock, the magic last; a file made here is removed if that fails."""
    room = request.size or size or L.WINDOW_DEFAULT
    try:
        geometry = plan_of(request, removable=removable, size=size)
        if size is None:
            os.posix_fallocate(fd, 0, geometry.window_bytes)  # all of it: a hole would be a SIGBUS later
        else:
            allocate(fd, geometry.window_bytes)
        _store(fd, bytes(L.rings_offset(len(geometry.rings))), opener)
        _store(fd, geometry.encode(magic=False), opener)
        _store(fd, L.MAGIC.to_bytes(8, "little"), opener)
    except (OSError, ConfigError) as error:
        if removable:
            with contextlib.suppress(OSError):
                opener.remove()
        if isinstance(error, ConfigError):
            raise
        raise _no_room(opener, room, error) from error
    return geometry


def fill_holes(opener: Opener, fd: int, size: int) -> None:
    """Fill the holes of a file that is used as it is; what agents have stored in it stays."""
    try:
        allocate(fd, size)
    except OSError as error:
        raise _no_room(opener, size, error) from error


def _no_room(opener: Opener, size: int, error: OSError) -> WindowUnavailable:
    return WindowUnavailable(
        f"{opener.url}: no room for {human(size)} in {opener.folder} "
        f"({error.strerror}): free some (on hugetlbfs, raise vm.nr_hugepages), "
        f"or ask for a smaller window with {opener.url}+SIZE",
        code=ErrorCode.NO_ROOM,
    )


def _store(fd: int, data: bytes, opener: Opener) -> None:
    """``data`` to the start of the file."""
    try:
        os.pwrite(fd, data, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        state = os.fstat(fd)  # hugetlbfs has no write(2), and maps whole huge pages only
        if state.st_size % state.st_blksize:
            raise ConfigError(
                f"{opener.url}: {opener.folder} hands out huge pages of {human(state.st_blksize)}: "
                f"ask for a multiple of that with {opener.url}+SIZE",
                code=ErrorCode.WINDOW_SIZE,
            ) from None
        with mmap.mmap(fd, state.st_size) as memory:
            memory[: len(data)] = data
