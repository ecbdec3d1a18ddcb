"""``shm:NAME[?OPTIONS][+SIZE]``: POSIX shared memory, by posix_ipc; mode 0600.

``owner=USER`` and ``group=GROUP`` let others share it (``trust.py``).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import posix_ipc

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window.contract import Request
from vnetcard.window.creation import Opener
from vnetcard.window.file_backed import BackedWindow, open_backed, read_backed
from vnetcard.window.trust import ALONE, Sharing, bare_place, refusal, split_sharing


def object_path(name: str, url: str) -> Path:
    """The file of the object ``name`` in Linux (shm_overview(7)); ConfigError for an invalid name."""
    if "/" in name or name in (".", "..") or len(os.fsencode(name)) > 250 or "\0" in name:
        raise ConfigError(f"invalid window URL {url!r}: a name has 1 to 250 bytes and no '/'", code=ErrorCode.BAD_URL)
    return Path("/dev/shm") / name


def open_window(request: Request) -> BackedWindow:
    """Open or create the object; see ``vnetcard.window.open_window``."""
    name, sharing = split_sharing(request.place, f"shm:{request.place}")
    return open_backed(opener(name, f"shm:{name}", sharing=sharing), request)


def opener(name: str, url: str, *, sharing: Sharing = ALONE, checked: bool = False) -> Opener:
    """The opener of the object ``name``; ``sharing`` and ``checked`` as in Opener."""
    path = object_path(name, url)

    def open_object() -> int:
        try:
            return _open_or_create(f"/{name}", sharing)
        except posix_ipc.PermissionsError as error:
            raise WindowUnavailable(
                f"{url}: no permission for {path}: it belongs to another user; name another --window",
                code=ErrorCode.WINDOW_PERMISSION,
            ) from error
        except (posix_ipc.Error, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ELOOP:
                raise refusal(url, f"{path} is a symbolic link: remove it, or name another --window") from error
            raise WindowUnavailable(
                f"{url}: cannot open {path} ({getattr(error, 'strerror', None) or error})"
            ) from error

    def remove() -> None:
        try:
            posix_ipc.unlink_shared_memory(f"/{name}")
        except posix_ipc.ExistentialError:
            pass  # another process removed it
        except posix_ipc.PermissionsError as error:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM)) from error

    return Opener(url, path, open_object, remove, blank_is_ours=True, sharing=sharing, checked=checked)


def _open_or_create(name: str, sharing: Sharing) -> int:
    """A descriptor of the object; as ``trust.open_or_create``, for the same reasons.  shm_open sets O_NOFOLLOW."""
    while True:
        try:
            fd: int = posix_ipc.SharedMemory(name).fd
            return fd
        except posix_ipc.ExistentialError:
            try:
                fd = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=sharing.mode).fd
            except posix_ipc.ExistentialError:
                continue  # another process has created it meanwhile
        try:
            sharing.hand_over(fd)
        except OSError:
            os.close(fd)
            posix_ipc.unlink_shared_memory(name)
            raise
        return fd


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the object's first bytes."""
    url = f"shm:{place}"
    return read_backed(object_path(bare_place(place), url), url, limit)
