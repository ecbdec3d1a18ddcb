"""Device memory: a span of it that has been found, and its mapping."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard._core import Memory, map_over
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.terminal.sizes import human

ALL_ONES: Final = (1 << 64) - 1
"""The value of a 64-bit read that no device answers."""
_REMEDY: Final = {
    errno.ENOENT: "is its driver in the kernel, and does udev run?",
    errno.EBUSY: "another program or driver has it: end that one, or take another",
    errno.ENODEV: "the device is gone: see dmesg",
    errno.ENXIO: "the device is gone: see dmesg",
}
_CODE: Final = {
    errno.ENOENT: ErrorCode.WINDOW_MISSING,
    errno.EACCES: ErrorCode.WINDOW_PERMISSION,
    errno.EPERM: ErrorCode.WINDOW_PERMISSION,
    errno.EBUSY: ErrorCode.WINDOW_BUSY,
    errno.ENODEV: ErrorCode.DEVICE_GONE,
    errno.ENXIO: ErrorCode.DEVICE_GONE,
}


def code_of(error: OSError) -> ErrorCode:
    """The error code of a system call that failed on a device or on a window's file."""
    return _CODE.get(error.errno or 0, ErrorCode.WINDOW_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Device:
    """A span of device memory that has been found and not opened yet; sizes and offsets are in bytes.

    ``url`` and ``what`` name it in messages.  ``file`` is mapped from ``offset`` on; if ``fd`` is given, that is
    mapped, and ``file`` is a name for messages.  Locks on the span are taken on ``lock`` (None: the device itself is
    exclusive) from byte ``lock_at`` on.  ``coherent``: the mapping is cached, since the device's DMA is coherent.
    ``hint`` says why a mapping may fail.  ``lost`` returns why the device is no longer present, or None; ``release``
    undoes what finding the device changed.

    ``beside`` is a second memory of the same size, which is mapped behind this one.
    """

    url: str
    what: str
    file: Path
    size: int
    lock: Path | None = None
    fd: int | None = None
    offset: int = 0
    lock_at: int = 0
    hint: str = "has another driver the device, or does kernel lockdown forbid it?"
    coherent: bool = False
    lost: Callable[[], str | None] = lambda: None
    release: Callable[[], None] = lambda: None
    beside: Device | None = None


class Mapping:
    """A device's memory, mapped, with the barriers and the access rules of the device domain."""

    def __init__(self, device: Device, *, any_content: bool = False) -> None:
        """Raises WindowUnavailable: missing, no permission, not mappable, or all ones unless ``any_content``."""
        self._map = _map(device)
        self.memory = Memory(self._map, device=not device.coherent)
        if not any_content and self.memory.load64(0) == ALL_ONES:
            self.close()
            raise WindowUnavailable(
                f"{device.url}: {device.what} reads as all ones, so nothing answers there: "
                "is the card powered and its memory decoding on?",
                code=ErrorCode.DEVICE_GONE,
            )

    def close(self) -> None:
        """Unmap."""
        self.memory.close()
        self._map.close()


def open_file(path: Path, device: Device) -> int:
    """A descriptor of ``path``, which belongs to ``device``; raises WindowUnavailable."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (0 if device.coherent else os.O_SYNC))
    except PermissionError as error:
        raise WindowUnavailable(
            f"{device.url}: no permission for {path} ({error.strerror}): run as root, or let a udev rule give the "
            "device to a group of yours",
            code=ErrorCode.WINDOW_PERMISSION,
        ) from error
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "see dmesg")
        raise WindowUnavailable(
            f"{device.url}: cannot open {path} ({error.strerror}): {remedy}", code=code_of(error)
        ) from error


def _map(device: Device) -> mmap.mmap:
    if device.beside is None:
        return _map_part(device)
    whole = mmap.mmap(-1, 2 * device.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        _map_part(device, whole, 0)
        _map_part(device.beside, whole, device.size)
    except BaseException:
        whole.close()
        raise
    return whole


def _map_part(device: Device, whole: mmap.mmap | None = None, at: int = 0) -> mmap.mmap:
    """Map ``device``, over the bytes of ``whole`` from ``at`` on if that is given."""
    fd = open_file(device.file, device) if device.fd is None else os.dup(device.fd)
    try:
        if whole is None:
            return mmap.mmap(fd, device.size, offset=device.offset)
        map_over(whole, at, device.size, fd, device.offset)
        return whole
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WindowUnavailable(
            f"{device.url}: cannot map {human(device.size)} of {device.file} ({why}): {device.hint}",
            code=ErrorCode.WINDOW_UNMAPPABLE,
        ) from error
    finally:
        os.close(fd)
