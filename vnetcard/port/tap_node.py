"""The device file of a macvtap: /dev/tapN where udev or the kernel has made it, else a node of our own for a moment.

N is the interface's index, which two network namespaces may both have, so only the device number decides.
Source: Linux drivers/net/macvtap.c; fsopen(2) since Linux 5.2, numbers equal for x86-64 and ARM64.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NR_FSOPEN, NR_FSCONFIG, NR_FSMOUNT = 430, 431, 432
FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC, FSCONFIG_CMD_CREATE = 1, 1, 6
FLAGS: Final = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
PLACES: Final = ("/dev", None)
"""Folders for a node of our own; None: that of temporary files, which may be mounted with nodev."""
UDEV_LIMIT: Final = 2.0
"""Seconds in which udev makes /dev/tapN, and gives a user who is not root the permission for it."""

_libc = ctypes.CDLL(None, use_errno=True)


def open_node(name: str, index: int) -> int:
    """A non-blocking descriptor of the macvtap ``name`` of this thread's network namespace; OSError."""
    device = _device(name, index)
    node = Path(f"/dev/tap{index}")
    deadline = time.monotonic() + (UDEV_LIMIT if os.geteuid() else 0)
    while (there := _is(node, device)) or time.monotonic() < deadline:
        try:
            if there:
                return _checked(os.open(node, FLAGS), device)
        except FileNotFoundError:  # removed with another macvtap of this index
            break
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.01)
    for place in PLACES:
        with contextlib.suppress(PermissionError, FileNotFoundError):
            return _open_own(device, place)
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _checked(fd: int, device: int) -> int:
    """``fd`` if it is ``device``, else FileNotFoundError: /dev/tapN has just become another one's."""
    if os.fstat(fd).st_rdev == device:
        return fd
    os.close(fd)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _is(node: Path, device: int) -> bool:
    try:
        status = node.stat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == device


def _open_own(device: int, place: str | None) -> int:
    import tempfile  # only where the node is missing

    with tempfile.TemporaryDirectory(prefix="vnetcard-", dir=place) as folder:
        node = Path(folder, "tap")
        os.mknod(node, 0o600 | stat.S_IFCHR, device)
        return os.open(node, FLAGS)


def _device(name: str, index: int) -> int:
    """Its device number, from the sysfs of this namespace."""
    with _sysfs() as folder:
        base = os.open(f"class/net/{name}", os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY, dir_fd=folder)
        try:
            if int(_read("ifindex", base)) != index:
                raise FileNotFoundError(errno.ENOENT, f"/sys is not that of {name}'s network namespace")
            major, minor = _read(f"macvtap/tap{index}/dev", base).split(":")
        finally:
            os.close(base)
    return os.makedev(int(major), int(minor))


def _read(path: str, folder: int) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(fd, 64).decode("ascii")
    finally:
        os.close(fd)


@contextlib.contextmanager
def _sysfs() -> Iterator[int]:
    """A mount of sysfs that shows this thread's namespace, at no place; /sys where that is refused."""
    with contextlib.ExitStack() as opened:
        try:
            context = _call(NR_FSOPEN, b"sysfs", FSOPEN_CLOEXEC)
            opened.callback(os.close, context)
            _call(NR_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
            folder = _call(NR_FSMOUNT, context, FSMOUNT_CLOEXEC, 0)
        except OSError:
            folder = os.open("/sys", os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, folder)
        yield folder


def _call(number: int, *arguments: bytes | int | None) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
