"""PCI functions with memory BARs, as sysfs shows them; ``cards.py`` judges those that could be the card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import human
from vnetcard.window import WindowUrl

KNOWN = {(0x1AF4, 0x1110): "QEMU's ivshmem", (0x10EE, None): "Xilinx"}
"""(vendor, device) of what may be a card; None: any device of that vendor."""

COMMAND = 0x04
"""The command register of configuration space (PCI Local Bus 3.0, section 6.2.2)."""
IO_MEM, IO_PREFETCH, IO_MEM_64 = 0x200, 0x2000, 0x10_0000
"""Flags in sysfs's ``resource`` (Linux include/linux/ioport.h)."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A memory BAR: bus address, size in bytes."""

    index: int
    address: int
    size: int
    prefetchable: bool
    wide: bool

    def __str__(self) -> str:
        kind = f"{64 if self.wide else 32}-bit{' prefetchable' if self.prefetchable else ''}"
        return f"BAR{self.index} {human(self.size)} {kind}"


@dataclass(frozen=True, slots=True)
class Function:
    """A PCI function with memory BARs; ``command`` is None when configuration space cannot be read."""

    path: Path
    vendor: int
    device: int
    driver: str
    command: int | None
    bars: tuple[Bar, ...]

    @property
    def address(self) -> str:
        """``0000:03:00.0``."""
        return self.path.name

    @property
    def name(self) -> str:
        """What it is known as, or ''."""
        return KNOWN.get((self.vendor, self.device)) or KNOWN.get((self.vendor, None), "")

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        bars = ", ".join(map(str, self.bars))
        return f"{self.vendor:04x}:{self.device:04x}{named}, {bars}, driver {self.driver or 'none'}"

    def is_named(self, place: str) -> bool:
        """Is this function meant by ``place``: 0000:03:00.0, 03:00.0, or its vendor and device?"""
        return place in (self.address, self.address.removeprefix("0000:"), f"{self.vendor:04x}:{self.device:04x}")

    def window(self, number: int | None) -> Bar | None:
        """The BAR ``number``, or the one that a window fits best: the largest, a prefetchable one first."""
        fitting = [bar for bar in self.bars if bar.size >= L.WINDOW_MIN and number in (None, bar.index)]
        return max(fitting, key=lambda bar: (bar.prefetchable, bar.size), default=None)


_PLACE = re.compile(r"(?P<function>[^/?]*)(?:/(?P<bar>[0-5]))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a ``pci:`` or ``vfio:`` URL asks for; None and '' where it leaves that open."""

    kind: str | None = None
    function: str = ""
    bar: int | None = None

    @classmethod
    def of(cls, url: WindowUrl | None) -> Wanted:
        """Of any window's URL; of others than ``pci:`` and ``vfio:`` only the kind matters."""
        if url is None or url.kind not in ("pci", "vfio"):
            return cls(url.kind if url else None)
        found = _PLACE.match(url.place.lower())
        assert found  # it matches the empty string too
        return cls(url.kind, found["function"], int(found["bar"]) if found["bar"] else None)


def functions(system: System) -> list[Function]:
    """Every function with a memory BAR."""
    found = [_function(path) for path in entries(system.sys / "bus/pci/devices")]
    return [one for one in found if one.bars]


def _function(path: Path) -> Function:
    driver = path / "driver"
    return Function(
        path,
        number(path / "vendor") or 0,
        number(path / "device") or 0,
        driver.resolve().name if driver.is_symlink() else "",
        _command(path / "config"),
        tuple(_bars(text(path / "resource") or "")),
    )


def _command(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            header = file.read(64)
    except OSError:
        return None
    return int.from_bytes(header[COMMAND : COMMAND + 2], "little") if len(header) == 64 else None


def _bars(lines: str) -> Iterator[Bar]:
    for index, line in enumerate(lines.splitlines()[:6]):
        try:
            start, end, flags = (int(word, 16) for word in line.split())
        except ValueError:
            continue
        if flags & IO_MEM and end > start:
            yield Bar(index, start, end - start + 1, bool(flags & IO_PREFETCH), bool(flags & IO_MEM_64))
