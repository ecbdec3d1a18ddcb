"""UIO devices and their memory maps, as sysfs shows them (Linux Documentation/driver-api/uio-howto.rst)."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.terminal.sizes import human

UNMASK: Final = (1).to_bytes(4, "little")
"""Written to a UIO device after each interrupt: the kernel masks it until then (irqcontrol)."""


@dataclass(frozen=True, slots=True)
class Map:
    """A memory map; ``size`` in bytes, ``offset`` of the memory within its first page."""

    index: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class UioDevice:
    """A UIO device: its folder in sysfs, its node in /dev, and the name that its driver gave it."""

    path: Path
    node: Path
    name: str
    maps: tuple[Map, ...]

    def map(self, index: int) -> Map | None:
        """Its map ``index``."""
        return next((one for one in self.maps if one.index == index), None)

    def lost(self) -> str | None:
        """Why it is no longer present, or None."""
        return None if self.path.exists() else f"UIO device {self.path.name} is gone"


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names: a number, ``uioN`` or the driver's name, and a map (0 unless named)."""

    name: str
    map: int

    @classmethod
    def parse(cls, place: str, url: str) -> Place:
        """``NAME[/MAP]``, without options; ConfigError, which names ``url``."""
        name, slash, index = place.partition("/")
        if slash and not (index.isascii() and index.isdigit()):
            raise ConfigError(
                f"window {url}: a map is a number, not {index!r}: write uio:{name}/0", code=ErrorCode.BAD_URL
            )
        return cls(name, int(index) if slash else 0)


def devices(system: System) -> list[UioDevice]:
    """Every UIO device of the machine, by number."""
    return [_device(system, path) for path in entries(system.sys / "class/uio", "uio*")]


def _device(system: System, path: Path) -> UioDevice:
    maps = []
    for one in entries(path / "maps", "map*"):
        index = one.name.removeprefix("map")
        if index.isascii() and index.isdigit():
            maps.append(Map(int(index), number(one / "size") or 0, number(one / "offset") or 0))
    return UioDevice(path, system.dev / path.name, text(path / "name") or "", tuple(maps))


def choose(system: System, place: Place, url: str) -> tuple[UioDevice, Map]:
    """The device and the map that ``place`` names; raises WindowUnavailable (none) or ConfigError (several)."""
    there = devices(system)
    if place.name.isascii() and place.name.isdigit():
        found = [one for one in there if one.path.name == f"uio{place.name}"]
    else:
        found = [one for one in there if place.name and place.name in (one.path.name, one.name)]
    if len(found) > 1:
        names = ", ".join(one.path.name for one in found)
        raise ConfigError(f"window {url}: {names} have that name: write uio:NUMBER", code=ErrorCode.AMBIGUOUS_DEVICE)
    if not found:
        names = ", ".join(f"{one.path.name} ({one.name})" for one in there) or (
            "none: is uio_pdrv_genirq loaded, with of_id=generic-uio, and a node in the device tree?"
        )
        raise WindowUnavailable(f"{url}: no UIO device {place.name!r} (found: {names})", code=ErrorCode.WINDOW_MISSING)
    (device,) = found
    chosen = device.map(place.map)
    if chosen is None:
        maps = ", ".join(f"{one.index} ({human(one.size)})" for one in device.maps) or "none"
        raise WindowUnavailable(
            f"{url}: {device.path.name} has no map {place.map}; it has {maps}", code=ErrorCode.WINDOW_MISSING
        )
    if chosen.offset:
        raise WindowUnavailable(
            f"{url}: map {place.map} of {device.path.name} does not start at a page, so it is no window",
            code=ErrorCode.WINDOW_UNMAPPABLE,
        )
    return device, chosen


def find_map(system: System, place: str, url: str) -> Device:
    """The map that ``place`` names; raises as ``choose``."""
    device, chosen = choose(system, Place.parse(place, url), url)
    return Device(
        url=url,
        what=f"map {chosen.index} of {device.path.name}",
        file=device.node,
        size=chosen.size,
        lock=device.node,
        offset=chosen.index * mmap.PAGESIZE,  # selects the map, by UIO's convention
        lock_at=2 * chosen.index,
        lost=device.lost,
    )
