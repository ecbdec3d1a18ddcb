"""The capabilities of threads, and no_new_privs (capabilities(7), prctl(2)).

The kernel keeps both per thread, and a new thread has those of the thread that starts it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from vnetcard.terminal import landlock

_NAMES: Final = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES: Final = tuple(_NAMES.split())
"""By number, without ``CAP_``.  Source: Linux include/uapi/linux/capability.h."""

_VERSION_3: Final = 0x20080522
_HEADER: Final = struct.Struct("=Ii")
_SETS: Final = struct.Struct("=6I")
"""Effective, permitted, inheritable: the lower 32 bits of each, then the upper ones."""
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 8, 24, 38

_libc = ctypes.CDLL(None, use_errno=True)


def bits_of(names: Iterable[str]) -> int:
    """The bits of ``names``, which are without ``CAP_``."""
    return sum(1 << NAMES.index(name) for name in set(names))


def names_of(bits: int) -> list[str]:
    """``CAP_NAME`` of each bit; ``CAP_41`` for one that is newer than this table."""
    return [f"CAP_{NAMES[n] if n < len(NAMES) else n}" for n in range(bits.bit_length()) if bits >> n & 1]


def keep(bits: int) -> None:
    """Give up, in the calling thread, every capability that is not in ``bits``; OSError."""
    effective, permitted, inheritable = _get()
    bits &= permitted
    if bits == permitted == effective:  # as under a service manager, which may forbid capset(2)
        return
    for number in range(len(NAMES)):
        if not bits >> number & 1 and _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
            break  # without CAP_SETPCAP: no_new_privs keeps programs from gaining it
    _set(bits, bits, inheritable & bits)


def shed() -> None:
    """Give up all capabilities and files of the calling thread, which serves an agent and needs none."""
    landlock.shed()
    with contextlib.suppress(OSError):
        _set(0, 0, 0)


def no_new_privileges() -> None:
    """From now on neither the calling thread nor a program that it starts can gain a privilege; OSError."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


@contextlib.contextmanager
def kept_over_change_of_user() -> Iterator[None]:
    """While the block changes the user ids of this process, its capabilities stay."""
    _, permitted, inheritable = _get()
    _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    try:
        yield
    finally:
        _checked(_libc.prctl(_PR_SET_KEEPCAPS, 0, 0, 0, 0))
    _set(permitted, permitted, inheritable)


FILE_POWERS: Final = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID")
"""With them a process may use files as if root had opened them (capabilities(7))."""


def lower(names: Iterable[str]) -> None:
    """In the calling thread ``names`` do not count until they are ``raised``; OSError."""
    effective, permitted, inheritable = _get()
    _set(effective & ~bits_of(names), permitted, inheritable)


@contextlib.contextmanager
def raised(names: Iterable[str]) -> Iterator[None]:
    """In the block those of ``names`` that the calling thread has count again; OSError."""
    effective, permitted, inheritable = _get()
    _set(effective | (permitted & bits_of(names)), permitted, inheritable)
    try:
        yield
    finally:
        _set(effective, permitted, inheritable)


def held() -> dict[str, int]:
    """Of all threads of this process: ``capabilities`` together, in bits; the least ``no_new_privs`` and ``seccomp``.

    The latter are 0 or 1, and 0 (none), 1 (strict) or 2 (filter), as in proc(5).
    """
    found = {"capabilities": 0, "no_new_privs": 1, "seccomp": 2}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            lines = (line.split() for line in (task / "status").read_text(encoding="utf-8").splitlines())
            values = {line[0]: line[1] for line in lines if len(line) > 1}
            found["capabilities"] |= int(values["CapPrm:"], 16)
            found["no_new_privs"] = min(found["no_new_privs"], int(values.get("NoNewPrivs:", 0)))
            found["seccomp"] = min(found["seccomp"], int(values.get("Seccomp:", 0)))
    return found


def _get() -> tuple[int, int, int]:
    """Effective, permitted, inheritable, of the calling thread."""
    sets = ctypes.create_string_buffer(_SETS.size)
    _checked(_libc.capget(_HEADER.pack(_VERSION_3, 0), sets))
    low, high = _SETS.unpack(sets.raw)[:3], _SETS.unpack(sets.raw)[3:]
    effective, permitted, inheritable = (one | two << 32 for one, two in zip(low, high, strict=True))
    return effective, permitted, inheritable


def _set(*sets: int) -> None:
    packed = _SETS.pack(*(one & 0xFFFF_FFFF for one in sets), *(one >> 32 for one in sets))
    _checked(_libc.capset(_HEADER.pack(_VERSION_3, 0), packed))


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
