"""Network namespaces: entering one for a while, in the calling thread only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable

CLONE_NEWNET = 0x4000_0000
"""Linux include/uapi/linux/sched.h"""

NAMED = Path("/run/netns")
"""Where ip-netns(8) keeps the namespaces that have a name."""

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    """``card`` is /run/netns/card as for ip-netns(8); a path such as /proc/123/ns/net stands for itself."""
    return Path(name) if name.startswith("/") else NAMED / name


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def inside(place: str | int | None) -> Iterator[None]:
    """Run the body in a network namespace; sockets and TUNs opened there belong to it.

    ``place`` is a name, a path, a descriptor of a namespace, or None for the namespace of the caller.
    Raises ConfigError when there is no such namespace, PortUnavailable when entering it is not permitted.
    """
    if place is None:
        yield
        return
    with contextlib.ExitStack() as opened:
        target = place if isinstance(place, int) else _open(place)
        if target is not place:
            opened.callback(os.close, target)
        home = _open_home()
        opened.callback(os.close, home)
        try:
            _enter(target)
        except OSError as error:
            raise PortUnavailable(
                f"network namespace {place!r}: cannot enter it ({error.strerror})", code=ErrorCode.NAMESPACE_PERMISSION
            ) from error
        try:
            yield
        finally:
            _go_home(home)


def _go_home(home: int) -> None:
    try:
        _enter(home)
    except OSError as error:
        raise PortUnavailable(
            f"cannot return to the own network namespace ({error.strerror})", code=ErrorCode.NAMESPACE_PERMISSION
        ) from error


def _open_home() -> int:
    """The calling thread's own namespace."""
    path = "/proc/thread-self/ns/net"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PortUnavailable(
            f"cannot enter a network namespace: there is no {path}; mount /proc", code=ErrorCode.NAMESPACE_PERMISSION
        ) from error


def _open(name: str) -> int:
    path = path_of(name)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        raise ConfigError(
            f"network namespace {name!r}: cannot open {path} ({error.strerror}); `ip netns add {path.name}` creates it",
            code=ErrorCode.NAMESPACE_MISSING,
        ) from error


def identity(place: str | int | None) -> str:
    """Device and inode number of a namespace, equal for two names of the same; '' where it cannot be read."""
    try:
        if isinstance(place, int):
            state = os.fstat(place)
        else:
            state = Path("/proc/thread-self/ns/net").stat() if place is None else path_of(place).stat()
    except OSError:
        return ""
    return f"{state.st_dev}:{state.st_ino}"


def listed() -> Iterator[int]:
    """A descriptor, open during the step, of each namespace that has a name, and of that of this process.

    One that may not be opened is left out.
    """
    seen = {""}
    for path in (Path("/proc/self/ns/net"), *sorted(NAMED.glob("*"))):
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if (found := identity(fd)) not in seen:
                    seen.add(found)
                    yield fd
            finally:
                os.close(fd)


def name_of(fd: int) -> str | None:
    """How another process opens the namespace of the descriptor ``fd``: its name, or a path through this process.

    None for the namespace of this process itself.
    """
    wanted = identity(fd)
    for path in (Path("/proc/self/ns/net"), *sorted(NAMED.glob("*"))):
        if identity(str(path)) == wanted:
            return path.name if path.parent == NAMED else None
    return f"/proc/{os.getpid()}/fd/{fd}"
