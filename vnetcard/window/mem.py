"""``mem:ADDR+SIZE`` or ``mem:NAME[+SIZE]``: physical memory by /dev/mem; NAME is reserved memory of the device tree.

For a card's CPU: memory that the host or a DMA engine reaches too, mapped uncached.  ``?format`` lets the host lay a
window out whatever the memory holds.
"""

from __future__ import annotations

import re

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.devicetree import Span, choose
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System, kernel_ram
from vnetcard.terminal.sizes import human
from vnetcard.window.c2h_memory import with_c2h_memory
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device, split_options

OPTIONS = ("c2h=", "format")
HINT = "the kernel keeps it from programs: reserve it in the device tree (no-map), or boot with iomem=relaxed"

_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,19}")


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in physical memory; see ``vnetcard.window.open_window``."""
    device = locate(request.place, request.size, System.here())
    return open_device(device, request, any_content=_any_content(request.place))


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes; of an address without a size, ``limit`` says how many there are."""
    return read_device(locate(place, limit, System.here()), limit, any_content=_any_content(place))


def locate(place: str, size: int | None, system: System) -> Device:
    """The memory that ``place`` names, of an address ``size`` bytes; opens nothing."""
    url = f"mem:{place}"
    bare, options = split_options(place, OPTIONS, url)
    if _ADDRESS.fullmatch(bare.lower()):
        if size is None:
            raise ConfigError(f"window {url} needs a size: write {url}+SIZE", code=ErrorCode.BAD_URL)
        span = Span(int(bare, 16 if bare[:2] in ("0x", "0X") else 10), size)
    else:
        span = choose(system, bare, url)
    if span.start % 4096:
        raise ConfigError(
            f"window {url}: {span.start:#x} is not the start of a page, a multiple of 4 KiB", code=ErrorCode.BAD_URL
        )
    if (ram := kernel_ram(system, span.start, span.size)) is not None:
        raise WindowUnavailable(
            f"{url}: {human(span.size)} at {span.start:#x} overlap System RAM ({ram}), which is in use by the kernel "
            "(/proc/iomem): reserve memory for the window in the device tree (no-map) or by memmap=SIZE$ADDR",
            code=ErrorCode.WINDOW_BUSY,
        )
    file = system.dev / "mem"
    device = Device(
        url=url,
        what=f"the memory at {span.start:#x}",
        file=file,
        size=span.size,
        lock=file,
        offset=span.start,
        lock_at=span.start,
        hint=HINT,
    )
    return with_c2h_memory(device, options, size, system)


def _any_content(place: str) -> bool:
    return "format" in split_options(place, OPTIONS, f"mem:{place}")[1]
