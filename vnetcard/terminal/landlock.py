"""What of the file system threads may reach: Landlock (landlock(7)), which Linux has since 5.13.

A thread that restricts itself can never reach more again, nor can the threads that it starts later; threads that exist
already are not restricted.  What is open stays usable.  Looking up, stat(2), chmod(2) and UNIX sockets are free.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
REMOVE_DIR: Final = 1 << 4
REMOVE_FILE: Final = 1 << 5
MAKE_DIR: Final = 1 << 7
MAKE_REG: Final = 1 << 8
MAKE_SOCK: Final = 1 << 9
TRUNCATE: Final = 1 << 14
IOCTL_DEV: Final = 1 << 15
"""Linux include/uapi/linux/landlock.h.  Those that are missing here are given to nobody."""
READ: Final = READ_FILE | READ_DIR
_OF_FILES: Final = 1 | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_RIGHTS: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
"""ABI version, and how many rights it has."""
_NET_SINCE, _TCP = 4, 3
"""ABI version since which connecting and binding of TCP can be restricted; both rights."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""System calls, with the same numbers on all machines."""
_VERSION, _PATH_BENEATH = 1, 1
_PR_GET_NO_NEW_PRIVS: Final = 39

_libc = ctypes.CDLL(None, use_errno=True)

Rule = tuple[Path | int, int]
"""A path or an open descriptor, and the rights for it and everything below it."""


def abi() -> int:
    """The version of the kernel's Landlock; 0 where it has none, or does not let this process use it."""
    return max(0, int(_libc.syscall(_CREATE, None, 0, _VERSION)))


def restrict(rules: Iterable[Rule]) -> None:
    """From now on the calling thread reaches only what ``rules`` allow, and no TCP; a missing path is left out.

    The process needs no_new_privs, or CAP_SYS_ADMIN.  OSError: the kernel refuses.
    """
    version = abi()
    if not version:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    handled = (1 << max(count for since, count in _RIGHTS if since <= version)) - 1
    words = [handled, _TCP] if version >= _NET_SINCE else [handled]
    ruleset = _checked(_libc.syscall(_CREATE, struct.pack(f"={len(words)}Q", *words), 8 * len(words), 0))
    try:
        for place, rights in rules:
            with contextlib.suppress(OSError):  # a missing path, or one that Landlock leaves alone
                _allow(ruleset, place, rights & handled)
        _checked(_libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def shed() -> None:
    """The calling thread, which serves an agent, reaches nothing any more; only in a process with no_new_privs."""
    if _libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1:
        with contextlib.suppress(OSError):
            restrict(())


def is_restricted() -> bool:
    """Whether the calling thread cannot even list the root folder, as every user can: what the kernel does."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except PermissionError:
        return True
    return False


def _allow(ruleset: int, place: Path | int, rights: int) -> None:
    fd = place if isinstance(place, int) else os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        if rights:
            rule = struct.pack("=Qi", rights, fd)
            _checked(_libc.syscall(_ADD, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        if fd != place:
            os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
