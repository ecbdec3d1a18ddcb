"""``uio:NAME[/MAP]`` or ``uio:N[/MAP]``: a memory map of a UIO device (/dev/uioN), by its number or its driver's name.

A device-tree node with ``generic-uio`` gives such a device without any code in the kernel, and /dev/uioN can belong
to the group of a user who is not root.  ``?format`` lets the host lay a window out whatever the memory holds.
"""

from __future__ import annotations

from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System
from vnetcard.hw.uio import find_map
from vnetcard.window.c2h_memory import with_c2h_memory
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device, split_options

OPTIONS = ("c2h=", "format")


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in a UIO map; see ``vnetcard.window.open_window``."""
    device = locate(request.place, request.size, System.here())
    return open_device(device, request, any_content=_any_content(request.place))


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the map's first bytes."""
    return read_device(locate(place, None, System.here()), limit, any_content=_any_content(place))


def locate(place: str, size: int | None, system: System) -> Device:
    """The map that ``place`` names; opens nothing."""
    url = f"uio:{place}"
    bare, options = split_options(place, OPTIONS, url)
    return with_c2h_memory(find_map(system, bare, url), options, size, system)


def _any_content(place: str) -> bool:
    return "format" in split_options(place, OPTIONS, f"uio:{place}")[1]
