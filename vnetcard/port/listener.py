"""The socket at which a port listens for one program: of mode 0600, and as a rule SOCK_SEQPACKET (unix(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.terminal import limits

PATH_MAX: Final = 107
"""Bytes of a path: sun_path of struct sockaddr_un less the final 0, Linux include/uapi/linux/un.h."""


def checked_path(path: str, url: str) -> Path:
    """``path`` of the port ``url``; ConfigError unless it is absolute and fits."""
    if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(f"port {url}: expected an absolute path of at most {PATH_MAX} bytes", code=ErrorCode.BAD_URL)
    return Path(path)


def listen_at(
    path: Path, opened: contextlib.ExitStack, kind: socket.SocketKind = socket.SOCK_SEQPACKET
) -> socket.socket:
    """A non-blocking listener, which ``opened`` closes and removes; a socket without listener is replaced.  OSError."""
    listener = opened.enter_context(socket.socket(socket.AF_UNIX, kind))
    listener.setblocking(False)
    opened.callback(_remove, path, _bind(listener, path))
    listener.listen(8)
    return listener


def _remove(path: Path, inode: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        if _inode(path) == inode:
            path.unlink()


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _bind(listener: socket.socket, path: Path) -> tuple[int, int]:
    """Bind to ``path`` with mode 0600, and return its device and inode; a socket without listener is replaced."""
    before = os.umask(0o177)
    try:
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_over(path):
                raise
            path.unlink()
            listener.bind(str(path))
    finally:
        os.umask(before)
    return _inode(path)


def _is_left_over(path: Path) -> bool:
    """Whether ``path`` is a socket of this user at which nothing listens."""
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        return False
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with contextlib.closing(socket.socket(socket.AF_UNIX, kind)) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                return True
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    return False
            else:
                return False
    return False


def unavailable(url: str, error: OSError | RuntimeError) -> PortUnavailable:
    """Why the port ``url`` cannot listen."""
    if isinstance(error, RuntimeError):
        words, code = "out of tasks: no thread can be started", ErrorCode.RESOURCE_LIMIT
    elif error.errno == errno.EADDRINUSE:
        words, code = (
            "the path is taken: another program listens there, or it is another kind of file",
            ErrorCode.PORT_BUSY,
        )
    elif limit := limits.name_of(error):
        words, code = limit, ErrorCode.RESOURCE_LIMIT
    elif error.errno in (errno.EACCES, errno.EPERM):
        words, code = "no permission to create a socket in this folder", ErrorCode.PORT_PERMISSION
    else:
        words, code = f"cannot listen there ({error.strerror})", ErrorCode.PORT_UNAVAILABLE
    return PortUnavailable(f"port {url}: {words}", code=code)
