"""``pci:BDF[/BAR]``, ``pci:VENDOR:DEVICE[/BAR]`` or ``pci:auto``: a memory BAR of a PCI function, by sysfs.

Options: ``?force`` takes a function that a kernel driver owns (a kernel with CONFIG_IO_STRICT_DEVMEM, such as Debian's,
refuses that), ``?format`` lets the host lay a window out whatever the BAR holds.  Nothing but sysfs is needed: no
driver, no kernel module.  ``vnetcard.hw.pci`` chooses the function and the BAR.
"""

from __future__ import annotations

from vnetcard.hw.mapping import Device
from vnetcard.hw.pci import enable_decoding, find_bar
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.window.c2h_memory import with_c2h_memory
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device, split_options

OPTIONS = ("c2h=", "force", "format")


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in a BAR; see ``vnetcard.window.open_window``."""
    device = enable_decoding(locate(request.place, request.size, System.here()))
    return open_device(device, request, any_content=_any_content(request.place))


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the BAR's first bytes."""
    device = enable_decoding(locate(place, None, System.here()))
    return read_device(device, limit, any_content=_any_content(place))


def locate(place: str, size: int | None, system: System) -> Device:
    """The BAR that ``place`` names; opens nothing and changes nothing."""
    url = f"pci:{place}"
    bare, options = split_options(place, OPTIONS, url)
    device = find_bar(system, bare, url, least=L.WINDOW_MIN, force="force" in options)
    return with_c2h_memory(device, options, size, system)


def _any_content(place: str) -> bool:
    return "format" in split_options(place, OPTIONS, f"pci:{place}")[1]
