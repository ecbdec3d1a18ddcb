"""``shm:NAME[+SIZE]``: POSIX shared memory, by posix_ipc; mode 0600."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import posix_ipc

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window.contract import Request
from vnetcard.window.file_backed import BackedWindow, Opener, open_backed, read_backed


def object_path(name: str, url: str) -> Path:
    """The file of the object ``name`` in Linux (shm_overview(7)); ConfigError for an invalid name."""
    if "/" in name or name in (".", "..") or len(os.fsencode(name)) > 250 or "\0" in name:
        raise ConfigError(f"invalid window URL {url!r}: a name has 1 to 250 bytes and no '/'", code=ErrorCode.BAD_URL)
    return Path("/dev/shm") / name


def open_window(request: Request) -> BackedWindow:
    """Open or create the object; see ``vnetcard.window.open_window``."""
    return open_backed(opener(request.place, f"shm:{request.place}"), request)


def opener(name: str, url: str, *, checked: bool = False) -> Opener:
    """The opener of the object ``name``; ``checked`` as in Opener."""
    path = object_path(name, url)

    def open_object() -> int:
        try:
            fd: int = posix_ipc.SharedMemory(f"/{name}", posix_ipc.O_CREAT, mode=0o600).fd
        except posix_ipc.PermissionsError as error:
            raise WindowUnavailable(
                f"{url}: no permission for {path}: it belongs to another user; name another --window",
                code=ErrorCode.WINDOW_PERMISSION,
            ) from error
        except (posix_ipc.Error, OSError, ValueError) as error:
            raise WindowUnavailable(f"{url}: cannot open {path} ({error})") from error
        return fd

    def remove() -> None:
        try:
            posix_ipc.unlink_shared_memory(f"/{name}")
        except posix_ipc.ExistentialError:
            pass  # another process removed it
        except posix_ipc.PermissionsError as error:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM)) from error

    return Opener(url, path, open_object, remove, blank_is_ours=True, checked=checked)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the object's first bytes."""
    return read_backed(object_path(place, f"shm:{place}"), f"shm:{place}", limit)
