"""``uio:NAME[/MAP]`` or ``uio:N[/MAP]``: a memory map of a UIO device (/dev/uioN), by its number or its driver's name.

What a device-tree node with ``generic-uio`` gives without any code in the kernel, and the way of a user who is not
root: /dev/uioN can belong to a group.  ``?format`` lets the host lay a window out whatever the memory holds.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring.geometry import human
from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, split_options, system

OPTIONS = ("format",)


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in a UIO map; see ``vnetcard.window.open_window``."""
    return open_device(device_at(request.place), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the map's first bytes."""
    return read_device(device_at(place), limit)


def device_at(place: str) -> Device:
    """The map that ``place`` names, found but not opened; ConfigError and WindowUnavailable say what is wrong."""
    url = f"uio:{place}"
    bare, options = split_options(place, OPTIONS, url)
    name, slash, text = bare.partition("/")
    if slash and not (text.isascii() and text.isdigit()):
        raise ConfigError(f"window {url}: a map is a number, not {text!r}: write uio:{name}/0")
    folder = _find(name, url)
    maps = _maps(folder)
    number = int(text) if slash else 0
    if number not in maps:
        there = ", ".join(f"{n} ({human(size)})" for n, size in sorted(maps.items())) or "none"
        raise WindowUnavailable(f"{url}: {folder.name} has no map {number}; it has {there}")
    if _number(folder / f"maps/map{number}/offset"):
        raise WindowUnavailable(f"{url}: map {number} of {folder.name} does not start at a page, so it is no window")
    file = system("/dev") / folder.name
    return Device(
        url=url,
        what=f"map {number} of {folder.name}",
        file=file,
        size=maps[number],
        lock=file,
        offset=number * mmap.PAGESIZE,  # how UIO tells its maps apart
        lock_at=2 * number,
        format_any="format" in options,
        lost=lambda: None if folder.exists() else f"UIO device {folder.name} is gone",
    )


def _find(name: str, url: str) -> Path:
    """The folder of device number or name ``name`` in sysfs."""
    root = system("/sys/class/uio")
    if name.isascii() and name.isdigit():
        found = [root / f"uio{name}"] if (root / f"uio{name}").exists() else []
    else:
        found = sorted(path for path in root.glob("uio*") if name in (path.name, _text(path / "name")))
    if len(found) > 1:
        raise ConfigError(f"window {url}: {', '.join(path.name for path in found)} have that name: write uio:NUMBER")
    if not found:
        there = ", ".join(f"{path.name} ({_text(path / 'name')})" for path in sorted(root.glob("uio*"))) or (
            "none: is uio_pdrv_genirq loaded, with of_id=generic-uio, and a node in the device tree?"
        )
        raise WindowUnavailable(f"{url}: there is no UIO device {name!r}; there is {there}")
    return found[0]


def _maps(folder: Path) -> dict[int, int]:
    """The device's maps: number to size in bytes."""
    return {int(path.name.removeprefix("map")): _number(path / "size") for path in folder.glob("maps/map*")}


def _number(file: Path) -> int:
    return int(_text(file) or "0", 16)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
