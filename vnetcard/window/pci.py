"""``pci:BDF[/BAR]``, ``pci:VENDOR:DEVICE[/BAR]`` or ``pci:auto``: a memory BAR of a PCI function, by sysfs.

Options: ``?force`` takes a function that a kernel driver owns, ``?format`` lets the host lay a window out whatever
the BAR holds.  Nothing but sysfs is needed: no driver, no kernel module.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring.geometry import human
from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, split_options, system

OPTIONS = ("force", "format")
IORESOURCE_MEM = 0x200
"""Flag in the kernel's ``resource`` file (include/linux/ioport.h): memory, not I/O ports."""
BARS = range(6)

_XDMA = {
    (0x10EE, family | generation << 4 | lanes): None
    for family in (0x7000, 0x8000, 0x9000)
    for generation in (1, 2, 3, 4)
    for lanes in (1, 2, 4, 8, 0xF)
}
"""What AMD's (Xilinx's) PCIe cores call themselves unless told otherwise: family, generation, lanes (x16: f)."""
CARDS: dict[tuple[int, int], int | None] = {(0x1AF4, 0x1110): 2, **_XDMA}
"""Vendor and device that ``pci:auto`` looks for, and the BAR; None: the largest.  1af4:1110 is QEMU's ivshmem."""

_BDF = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")
_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class Function:
    """A PCI function in sysfs."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def ids(self) -> tuple[int, int]:
        """Vendor and device."""
        return self._number("vendor"), self._number("device")

    def _number(self, file: str) -> int:
        try:
            return int((self.path / file).read_text(), 16)
        except (OSError, ValueError):
            return -1

    def bars(self) -> dict[int, int]:
        """The memory BARs and their sizes in bytes."""
        try:
            rows = [line.split() for line in (self.path / "resource").read_text().splitlines()]
            found = {n: [int(word, 16) for word in row] for n, row in zip(BARS, rows, strict=False)}
        except (OSError, ValueError):
            return {}
        return {n: end - start + 1 for n, (start, end, flags) in found.items() if flags & IORESOURCE_MEM}

    def driver(self) -> str | None:
        """The kernel driver that owns it."""
        link = self.path / "driver"
        return link.resolve().name if link.is_symlink() else None

    def lost(self) -> str | None:
        """Why it is no longer there."""
        return None if self.path.exists() else f"PCI function {self.name} is gone"


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in a BAR; see ``vnetcard.window.open_window``."""
    return open_device(device_at(request.place), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the BAR's first bytes."""
    return read_device(device_at(place), limit)


def functions() -> list[Function]:
    """All PCI functions of this machine."""
    return sorted(
        (Function(path) for path in system("/sys/bus/pci/devices").glob("*")), key=lambda function: function.name
    )


def device_at(place: str) -> Device:
    """The BAR that ``place`` names, with memory decoding on."""
    url = f"pci:{place}"
    bare, options = split_options(place, OPTIONS, url)
    where, slash, bar_text = bare.partition("/")
    if slash and bar_text not in {str(n) for n in BARS}:
        raise ConfigError(f"window {url}: there is no BAR {bar_text!r}; 0 to 5 are possible")
    function, usual = find(where.lower(), url)
    bars = function.bars()
    bar = int(bar_text) if slash else usual if usual is not None else _largest(function, bars, url)
    if bar not in bars:
        raise WindowUnavailable(f"{url}: {function.name} has no memory BAR {bar}; it has {_list(bars)}")
    if (driver := function.driver()) and "force" not in options:
        raise WindowUnavailable(
            f"{url}: {function.name} belongs to the kernel driver {driver}: unbind it "
            f"(echo {function.name} > /sys/bus/pci/drivers/{driver}/unbind), or take the BAR all the same by ?force"
        )
    combining = function.path / f"resource{bar}_wc"
    plain = function.path / f"resource{bar}"
    return Device(
        url=url,
        what=f"BAR {bar} of PCI function {function.name}",
        file=combining if combining.exists() else plain,
        size=bars[bar],
        lock=plain,
        format_any="format" in options,
        lost=function.lost,
        release=_enable(function, url),
    )


def find(where: str, url: str) -> tuple[Function, int | None]:
    """The function, and the BAR that its kind is known for."""
    if where == "auto":
        found = [function for function in functions() if function.ids() in CARDS]
        return _only(found, url, "no card that is known was found: `lspci -nn` shows all, name one as pci:BDF/BAR")
    if match := _IDS.fullmatch(where):
        ids = int(match[1], 16), int(match[2], 16)
        found = [function for function in functions() if function.ids() == ids]
        return _only(found, url, f"no PCI function is {where}: `lspci -nn` shows all")
    if match := _BDF.fullmatch(where):
        name = f"{match[1] or '0000'}:{match[2]}"
        function = Function(system("/sys/bus/pci/devices") / name)
        if not function.path.exists():
            raise WindowUnavailable(
                f"{url}: there is no PCI function {name}: `lspci` shows all; a card that was just programmed needs "
                "`echo 1 > /sys/bus/pci/rescan`"
            )
        return function, CARDS.get(function.ids())
    raise ConfigError(f"window {url} is not understood: write pci:auto, pci:BDF[/BAR] or pci:VENDOR:DEVICE[/BAR]")


def _only(found: list[Function], url: str, none: str) -> tuple[Function, int | None]:
    if not found:
        raise WindowUnavailable(f"{url}: {none}")
    if len(found) > 1:
        names = ", ".join(function.name for function in found)
        raise ConfigError(f"window {url}: there are {len(found)} such cards, {names}: name one as pci:BDF")
    return found[0], CARDS.get(found[0].ids())


def _largest(function: Function, bars: dict[int, int], url: str) -> int:
    if not bars:
        raise WindowUnavailable(f"{url}: {function.name} has no memory BAR")
    return max(bars, key=lambda n: bars[n])


def _list(bars: dict[int, int]) -> str:
    return ", ".join(f"BAR {n} ({human(size)})" for n, size in bars.items()) or "none"


def _enable(function: Function, url: str) -> Callable[[], None]:
    """Turn memory decoding on, without which a BAR reads as all ones; what undoes it."""
    switch = function.path / "enable"
    try:
        if switch.read_text().strip() not in ("0", ""):
            return lambda: None
        switch.write_text("1")
    except OSError as error:
        raise WindowUnavailable(
            f"{url}: the memory decoding of {function.name} is off, and {switch} cannot be written "
            f"({error.strerror}): let root do `echo 1 > {switch}`"
        ) from error
    return lambda: _disable(switch)


def _disable(switch: Path) -> None:
    with contextlib.suppress(OSError):  # the device may be gone
        switch.write_text("0")
