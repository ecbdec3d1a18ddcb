"""``mem:ADDR+SIZE`` or ``mem:NAME[+SIZE]``: physical memory by /dev/mem; NAME is reserved memory of the device tree.

The way of a card's CPU to memory that the host or a DMA engine reaches too, mapped uncached.  ``?format`` lets the
host lay a window out whatever the memory holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring.geometry import human
from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, split_options, system

OPTIONS = ("format",)
HINT = "the kernel keeps it from programs: reserve it in the device tree (no-map), or boot with iomem=relaxed"

_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,19}")
_RANGE = re.compile(r"\s*([0-9a-f]+)-([0-9a-f]+) : (.*)")


@dataclass(frozen=True, slots=True)
class Span:
    """Physical memory: where it starts and its size in bytes."""

    start: int
    size: int


def open_window(request: Request) -> DeviceWindow:
    """Lay out or attach to the window in physical memory; see ``vnetcard.window.open_window``."""
    return open_device(_device(request.place, request.size), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes; of an address without a size, ``limit`` says how many there are."""
    return read_device(_device(place, limit), limit)


def _device(place: str, size: int | None) -> Device:
    url = f"mem:{place}"
    bare, options = split_options(place, OPTIONS, url)
    if _ADDRESS.fullmatch(bare.lower()):
        if size is None:
            raise ConfigError(f"window {url} needs a size: write {url}+SIZE")
        span = Span(int(bare, 16 if bare[:2] in ("0x", "0X") else 10), size)
    else:
        span = _reserved(bare, url)
    if span.start % 4096:
        raise ConfigError(f"window {url}: {span.start:#x} is not the start of a page, a multiple of 4 KiB")
    if owner := _owner(span):
        raise WindowUnavailable(
            f"{url}: {human(span.size)} at {span.start:#x} overlap {owner}, which is in use by the kernel "
            "(/proc/iomem): reserve memory for the window in the device tree (no-map) or by memmap=SIZE$ADDR"
        )
    file = system("/dev/mem")
    return Device(
        url=url,
        what=f"the memory at {span.start:#x}",
        file=file,
        size=span.size,
        lock=file,
        offset=span.start,
        lock_at=span.start,
        format_any="format" in options,
        hint=HINT,
    )


def _owner(span: Span) -> str | None:
    """Which RAM of the kernel's own ``span`` overlaps; without root the kernel shows none."""
    try:
        lines = system("/proc/iomem").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if (match := _RANGE.fullmatch(line)) and match[3] == "System RAM":
            first, last = int(match[1], 16), int(match[2], 16)
            if last and first < span.start + span.size and span.start <= last:
                return f"System RAM ({match[1]}-{match[2]})"
    return None


def _reserved(name: str, url: str) -> Span:
    """The reserved-memory node ``name`` (or ``name@ADDRESS``) of the device tree."""
    root = system("/proc/device-tree/reserved-memory")
    nodes = sorted(path for path in root.glob("*") if path.is_dir() and name in (path.name, path.name.split("@")[0]))
    if not nodes:
        there = ", ".join(sorted(path.name for path in root.glob("*") if path.is_dir())) or "none"
        raise WindowUnavailable(f"{url}: there is no reserved memory {name!r} in {root}; there is {there}")
    if len(nodes) > 1:
        raise ConfigError(f"window {url}: name one of {', '.join(node.name for node in nodes)}")
    (node,) = nodes
    if not (node / "no-map").exists():
        raise WindowUnavailable(
            f"{url}: {node} has no property no-map, so the kernel maps it too, cached: add `no-map;` to the node"
        )
    return _reg(node, url)


def _reg(node: Path, url: str) -> Span:
    """The first range of a node's ``reg``: big-endian cells, as many as its parent says."""
    try:
        address, size = (
            4 * int.from_bytes((node.parent / f"#{kind}-cells").read_bytes(), "big") for kind in ("address", "size")
        )
        reg = (node / "reg").read_bytes()
    except OSError as error:
        raise WindowUnavailable(f"{url}: cannot read {error.filename} ({error.strerror})") from error
    if not size or len(reg) < address + size:
        raise WindowUnavailable(f"{url}: the property reg of {node} is too short to name memory")
    return Span(int.from_bytes(reg[:address], "big"), int.from_bytes(reg[address : address + size], "big"))
