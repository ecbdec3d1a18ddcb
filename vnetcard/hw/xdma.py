"""The character devices of Xilinx's XDMA driver: ``/dev/xdmaN_h2c_C``, ``_c2h_C``, ``_user`` and ``_events_K``."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window.device import system

_REMEDY: Final = {
    errno.ENOENT: "load the xdma driver, and see that the design has this {}",
    errno.EACCES: "run as root, or let a udev rule give you the device",
    errno.EPERM: "run as root, or let a udev rule give you the device",
    errno.EBUSY: "another program has the {} open: end it, or take another",
    errno.ENODEV: "the card is gone: look at dmesg, rescan the bus or load the driver anew",
    errno.ENXIO: "the card is gone: look at dmesg, rescan the bus or load the driver anew",
}
_CALLED: Final = {"user": "AXI-Lite master", "events": "user interrupt"}
"""What a design calls it whose device is named so; else a channel."""


_BEYOND: Final = (1 << 63) - L.WINDOW_MAX
"""Where a window or a page ends, a file's position must be possible yet."""


def prefix(device: str, url: str) -> Path:
    """What the names of one card's devices begin with: ``device`` is a number, or that itself; ConfigError: neither."""
    path = system(f"/dev/xdma{device}") if device.isascii() and device.isdigit() else Path(device)
    if not path.name:
        raise ConfigError(f"{url}: {device!r} is no card: write its number, or what its devices' names begin with")
    return path


def device(of: Path, what: str) -> Path:
    """``/dev/xdma0_h2c_0``."""
    return of.with_name(f"{of.name}_{what}")


def unavailable(url: str, path: Path, error: OSError) -> WindowUnavailable:
    """What to say of a device that cannot be opened."""
    called = next((words for what, words in _CALLED.items() if f"_{what}" in path.name), "channel")
    remedy = _REMEDY.get(error.errno or 0, "look at dmesg").format(called)
    return WindowUnavailable(f"{url}: cannot open {path} ({error.strerror}): {remedy}")


def number(text: str, what: str) -> int:
    """A number as a URL has it, decimal or 0x...; ConfigError, which begins with ``what``, for anything else."""
    with contextlib.suppress(ValueError):
        value = int(text, 16 if text.lower().startswith("0x") else 10)
        if 0 <= value < _BEYOND and "_" not in text:
            return value
    raise ConfigError(f"{what}: {text!r} is no number, or too large a one")
