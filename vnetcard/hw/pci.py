"""PCI functions with their BARs, as sysfs shows them, and the one choice of function and BAR.

The windows ``pci:`` and ``vfio:``, engine pages behind a BAR and the doctor all ask ``choose``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.mapping import Device
from vnetcard.hw.pci_cards import KnownCard, known
from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.terminal.sizes import human

COMMAND: Final = 0x04
"""The command register of configuration space (PCI Local Bus 3.0, section 6.2.2)."""
IO_MEM, IO_PREFETCH, IO_MEM_64 = 0x200, 0x2000, 0x10_0000
"""Flags in sysfs's ``resource`` (Linux include/linux/ioport.h)."""
BARS: Final = range(6)
LOCKDOWN_HINT: Final = "does kernel lockdown forbid it?"

_BDF = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")
_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class Bar:
    """A memory BAR: bus address, size in bytes; ``wide``: 64-bit."""

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
    """A PCI function; ``driver`` is '' where none is bound, ``command`` None where config space is unreadable."""

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
    def known(self) -> KnownCard | None:
        """The rule of ``pci_cards`` for its ids."""
        return known(self.vendor, self.device)

    @property
    def name(self) -> str:
        """The name of that rule, or ''."""
        return self.known.name if self.known else ""

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        bars = ", ".join(map(str, self.bars))
        return f"{self.vendor:04x}:{self.device:04x}{named}, {bars or 'no memory BAR'}, driver {self.driver or 'none'}"

    def bar(self, index: int) -> Bar | None:
        """Its memory BAR ``index``."""
        return next((bar for bar in self.bars if bar.index == index), None)

    def best_bar(self, least: int) -> Bar | None:
        """The BAR for ``least`` bytes or more: the known card's, else 64-bit prefetchable before others, then by size.

        A prefetchable BAR is memory, without side effects of reads, and gets a write-combining map; BARs that are not
        are often registers, whatever their size.
        """
        fitting = [bar for bar in self.bars if bar.size >= least]
        if self.known and self.known.bar is not None:
            return next((bar for bar in fitting if bar.index == self.known.bar), None)
        return max(fitting, key=lambda bar: (bar.prefetchable, bar.wide, bar.size, -bar.index), default=None)

    def resource(self, bar: Bar) -> Path:
        """The file that maps the BAR: write-combining where the kernel offers that."""
        combining = self.path / f"resource{bar.index}_wc"
        return combining if combining.exists() else self.path / f"resource{bar.index}"

    def lost(self) -> str | None:
        """Why it is no longer present, or None."""
        return None if self.path.exists() else f"PCI function {self.address} is gone"


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names: ``function`` is ``auto``, a BDF or VENDOR:DEVICE; ``bar`` None leaves the BAR open."""

    function: str
    bar: int | None

    @classmethod
    def parse(cls, text: str, url: str) -> Place:
        """``auto``, ``BDF[/BAR]`` or ``VENDOR:DEVICE[/BAR]``, without options; ConfigError, which names ``url``."""
        function, slash, bar = text.lower().partition("/")
        if slash and bar not in {str(n) for n in BARS}:
            raise ConfigError(f"window {url}: there is no BAR {bar!r}: expected 0 to 5", code=ErrorCode.BAD_URL)
        if function != "auto" and not _IDS.fullmatch(function) and not _BDF.fullmatch(function):
            kind = url.partition(":")[0]
            raise ConfigError(
                f"invalid window URL {url}: write {kind}:auto, {kind}:BDF[/BAR] or {kind}:VENDOR:DEVICE[/BAR]",
                code=ErrorCode.BAD_URL,
            )
        return cls(function, int(bar) if slash else None)

    def names(self, function: Function) -> bool:
        """Is ``function`` the one named, or one of those?  ``auto`` names the automatic ones of ``pci_cards``."""
        if self.function == "auto":
            return function.known is not None and function.known.automatic
        if _IDS.fullmatch(self.function):
            return self.function == f"{function.vendor:04x}:{function.device:04x}"
        return self.function in (function.address, function.address.removeprefix("0000:"))


def functions(system: System) -> list[Function]:
    """Every PCI function of the machine, by address."""
    return [_function(path) for path in entries(system.sys / "bus/pci/devices")]


def function_behind(system: System, file: Path) -> Function | None:
    """The PCI function that a BAR's file or a UIO device's node belongs to; None: no function of the machine."""
    link = system.sys / "class/uio" / file.name / "device"
    address = link.resolve().name if link.is_symlink() else file.parent.name
    return next((one for one in functions(system) if one.address == address), None)


def choose(system: System, place: Place, url: str, *, least: int, driver: str = "") -> tuple[Function, Bar]:
    """The function and the BAR of ``least`` bytes or more that ``place`` stands for.

    ``driver`` is what must be bound to it ('': none; ``auto`` passes over functions of another driver).  Raises
    WindowUnavailable (none there, no such BAR) and ConfigError (several; each is named).
    """
    found = [function for function in functions(system) if place.names(function)]
    if not found:
        raise WindowUnavailable(f"{url}: {_missing(place)}", code=ErrorCode.WINDOW_MISSING)
    usable = [one for one in found if one.driver == driver and _bar(one, place, least) is not None]
    candidates = usable if place.function == "auto" and usable else found
    if len(candidates) > 1:
        names = ", ".join(function.address for function in candidates)
        kind = url.partition(":")[0]
        raise ConfigError(
            f"window {url}: there are {len(candidates)} such cards, {names}: name one as {kind}:BDF",
            code=ErrorCode.AMBIGUOUS_DEVICE,
        )
    (function,) = candidates
    bar = _bar(function, place, least)
    if bar is None:
        raise _no_bar(function, place, url, least)
    return function, bar


def _bar(function: Function, place: Place, least: int) -> Bar | None:
    return function.best_bar(least) if place.bar is None else function.bar(place.bar)


def _missing(place: Place) -> str:
    if place.function == "auto":
        return "no card that is known was found: `lspci -nn` shows all, name one as pci:BDF/BAR"
    if _IDS.fullmatch(place.function):
        return f"no PCI function is {place.function}: `lspci -nn` shows all"
    name = place.function if place.function.count(":") > 1 else f"0000:{place.function}"
    return (
        f"there is no PCI function {name}: `lspci` shows all; a card that was just programmed needs "
        "`echo 1 > /sys/bus/pci/rescan`"
    )


def _no_bar(function: Function, place: Place, url: str, least: int) -> WindowUnavailable:
    has = ", ".join(f"BAR {bar.index} ({human(bar.size)})" for bar in function.bars) or "none"
    if place.bar is not None:
        return WindowUnavailable(
            f"{url}: {function.address} has no memory BAR {place.bar}; it has {has}", code=ErrorCode.WINDOW_MISSING
        )
    return WindowUnavailable(
        f"{url}: {function.address} has no memory BAR of {human(least)} or more; it has {has}",
        code=ErrorCode.WINDOW_SIZE,
    )


def find_bar(system: System, place: str, url: str, *, least: int, force: bool = False) -> Device:
    """The BAR that ``place`` names; raises as ``choose``, and WindowUnavailable if a driver is bound (not ``force``).

    Nothing is opened or changed: before it is mapped, ``enable_decoding`` must be called.
    """
    function, bar = choose(system, Place.parse(place, url), url, least=least)
    if function.driver and not force:
        raise WindowUnavailable(f"{url}: {bound(function)}", code=ErrorCode.DRIVER_BOUND)
    return Device(
        url=url,
        what=f"BAR {bar.index} of PCI function {function.address}",
        file=function.resource(bar),
        size=bar.size,
        lock=function.path / f"resource{bar.index}",
        hint=f"the kernel driver {function.driver} has claimed it: unbind that" if function.driver else LOCKDOWN_HINT,
        lost=function.lost,
    )


def bound(function: Function) -> str:
    """That a driver owns ``function``, and what to do."""
    return (
        f"{function.address} belongs to the kernel driver {function.driver}: unbind it "
        f"(echo {function.address} > /sys/bus/pci/drivers/{function.driver}/unbind), or take the BAR all the same "
        "by ?force (which a kernel with CONFIG_IO_STRICT_DEVMEM refuses)"
    )


def enable_decoding(device: Device) -> Device:
    """``device``, a BAR, with memory decoding on, without which it reads as all ones; ``release`` restores it."""
    switch = device.file.parent / "enable"
    try:
        if switch.read_text().strip() not in ("0", ""):
            return device
        switch.write_text("1")
    except OSError as error:
        raise WindowUnavailable(
            f"{device.url}: the memory decoding of {switch.parent.name} is off, and {switch} cannot be written "
            f"({error.strerror}): let root do `echo 1 > {switch}`",
            code=ErrorCode.WINDOW_PERMISSION,
        ) from error
    return replace(device, release=lambda: _disable(switch))


def _disable(switch: Path) -> None:
    with contextlib.suppress(OSError):  # the device may be gone
        switch.write_text("0")


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
    for index, line in zip(BARS, lines.splitlines(), strict=False):
        try:
            start, end, flags = (int(word, 16) for word in line.split())
        except ValueError:
            continue
        if flags & IO_MEM and end > start:
            yield Bar(index, start, end - start + 1, bool(flags & IO_PREFETCH), bool(flags & IO_MEM_64))
