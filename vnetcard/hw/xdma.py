"""The character devices of Xilinx's XDMA driver: ``/dev/xdmaN_h2c_C``, ``_c2h_C``, ``_user`` and ``_events_K``.

Sixteen ``_events_K`` exist whatever the design has, so an event device may never report anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.hw.pci import Function, functions
from vnetcard.hw.sysfs import System, entries, system

AGAIN: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.EBUSY})
"""Errors after which the same call may succeed."""
BUSY_LIMIT: Final = 2.0
"""Seconds for which a channel may have no room for a transfer."""
BUSY_PAUSE: Final = 0.001
"""Seconds between two tries."""

_REMEDY: Final = {
    errno.ENOENT: "load the xdma driver, and see that the design has this {}",
    errno.EACCES: "run as root, or let a udev rule give you the device",
    errno.EPERM: "run as root, or let a udev rule give you the device",
    errno.EBUSY: "another program has the {} open: end it, or take another",
    errno.ENODEV: "the card is gone: see dmesg, rescan the bus or reload the driver",
    errno.ENXIO: "the card is gone: see dmesg, rescan the bus or reload the driver",
}
_CALLED: Final = {"user": "AXI-Lite master", "events": "user interrupt"}
"""The design's name for what is behind a device of that name; any other is a channel."""

_BEYOND: Final = 1 << 62
"""Addresses end here, so that the end of a window or a page is a valid file position too."""


def prefix(device: str, url: str) -> Path:
    """The common prefix of one card's device names: ``device`` is a number or that prefix; ConfigError otherwise."""
    path = system(f"/dev/xdma{device}") if device.isascii() and device.isdigit() else Path(device)
    if not path.name:
        raise ConfigError(
            f"{url}: {device!r} is no card: write its number, or what its devices' names begin with",
            code=ErrorCode.BAD_URL,
        )
    return path


def device(of: Path, what: str) -> Path:
    """``/dev/xdma0_h2c_0``."""
    return of.with_name(f"{of.name}_{what}")


def unavailable(url: str, path: Path, error: OSError) -> WindowUnavailable:
    """The error for a device that cannot be opened."""
    called = next((words for what, words in _CALLED.items() if f"_{what}" in path.name), "channel")
    remedy = _REMEDY.get(error.errno or 0, "see dmesg").format(called)
    return WindowUnavailable(f"{url}: cannot open {path} ({error.strerror}): {remedy}", code=code_of(error))


def number(text: str, what: str) -> int:
    """A number of a URL, decimal or 0x...; ConfigError, whose message begins with ``what``, for anything else."""
    with contextlib.suppress(ValueError):
        value = int(text, 16 if text.lower().startswith("0x") else 10)
        if 0 <= value < _BEYOND and "_" not in text:
            return value
    raise ConfigError(f"{what}: {text!r} is no number, or too large a one", code=ErrorCode.BAD_URL)


def another_device(path: Path, fd: int) -> str | None:
    """Why ``path`` is no longer the device that was opened as ``fd``, or None."""
    try:
        now, opened = path.stat(), os.fstat(fd)
    except OSError as error:
        return f"{path} is gone ({error.strerror}): was the card removed, or its driver unloaded?"
    if (now.st_dev, now.st_ino, now.st_rdev) != (opened.st_dev, opened.st_ino, opened.st_rdev):
        return f"{path} is another device than the one that was opened: was the driver reloaded?"
    return None


@dataclass(frozen=True, slots=True)
class Card:
    """The devices of one card; ``names`` are those of its nodes without the prefix, such as ``h2c_0``."""

    index: int
    nodes: tuple[Path, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``("h2c_0", "c2h_0", "user")``."""
        return tuple(node.name.partition("_")[2] for node in self.nodes)

    @property
    def missing(self) -> tuple[str, ...]:
        """The directions, ``h2c`` and ``c2h``, that have no channel."""
        return tuple(one for one in ("h2c", "c2h") if not any(name.startswith(f"{one}_") for name in self.names))


def cards(system: System) -> list[Card]:
    """Every card with devices of the driver, by number."""
    found: dict[int, list[Path]] = {}
    for node in entries(system.dev, "xdma*_*"):
        if match := re.match(r"xdma(\d{1,4})_", node.name):
            found.setdefault(int(match[1]), []).append(node)
    return [Card(index, tuple(nodes)) for index, nodes in sorted(found.items())]


def function_of(system: System, node: Path) -> Function | None:
    """The PCI function that ``node`` belongs to, as the driver's class in sysfs says; None: unknown."""
    link = system.sys / "class/xdma" / node.name / "device"
    if not link.is_symlink():
        return None
    address = link.resolve().name
    return next((one for one in functions(system) if one.address == address), None)


def wrong_module(system: System) -> bool:
    """Is the loaded module ``xdma`` the kernel's dmaengine driver of that name (since 6.3), not AMD's stock driver?

    The first is a platform driver and makes no devices; the second is a PCI driver.
    """
    return (system.sys / "module/xdma").exists() and not (system.sys / "bus/pci/drivers/xdma").exists()
