"""Network namespaces: being in one for a moment, in this thread only."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from vnetcard.errors import ConfigError, PortUnavailable

CLONE_NEWNET = 0x4000_0000
"""Linux include/uapi/linux/sched.h"""

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    """``card`` is /run/netns/card as for ip-netns(8); a path such as /proc/123/ns/net stands for itself."""
    return Path(name) if name.startswith("/") else Path("/run/netns") / name


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def inside(name: str | None) -> Iterator[None]:
    """Run the body in network namespace ``name`` (None: stay); sockets and TUNs opened there belong to it.

    Raises ConfigError when there is no such namespace, PortUnavailable when entering it is not permitted.
    """
    if name is None:
        yield
        return
    path = path_of(name)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"network namespace {name!r}: cannot open {path} ({error.strerror}); `ip netns add {path.name}` makes one"
        ) from error
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            _enter(target)
        except OSError as error:
            raise PortUnavailable(f"network namespace {name!r}: cannot enter it ({error.strerror})") from error
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(target)
        os.close(home)
