"""Reserved memory as the device tree has it (Devicetree Specification 0.4, sections 2.3.5, 2.3.6 and 3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.sysfs import System, entries

CELLS = range(1, 5)
"""Numbers of 32-bit cells that an address or a size may have; four are what any bus uses."""


@dataclass(frozen=True, slots=True)
class Span:
    """Physical memory: its address and its size in bytes."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """A node of ``/reserved-memory``: its ranges, and why they cannot be read ('' if they can).

    ``no_map``: the kernel does not map it, so no cached alias of it exists.
    """

    path: Path
    spans: tuple[Span, ...]
    no_map: bool
    problem: str = ""

    @property
    def name(self) -> str:
        """``vnetcard@70000000``."""
        return self.path.name


def root(system: System) -> Path:
    """The node whose children are reserved."""
    return system.proc / "device-tree/reserved-memory"


def reserved(system: System) -> list[Reserved]:
    """Every reserved range of the device tree, by name."""
    folder = root(system)
    return sorted((_node(path) for path in entries(folder) if path.is_dir()), key=lambda node: node.name)


def _node(path: Path) -> Reserved:
    no_map = (path / "no-map").exists()
    try:
        address, size = (
            int.from_bytes((path.parent / f"#{kind}-cells").read_bytes()[:4], "big") for kind in ("address", "size")
        )
        reg = (path / "reg").read_bytes()
    except OSError as error:
        return Reserved(path, (), no_map, f"cannot read {error.filename} ({error.strerror})")
    if address not in CELLS or size not in CELLS:
        return Reserved(path, (), no_map, f"{path.parent} has {address} address and {size} size cells")
    step = 4 * (address + size)
    if not reg or len(reg) % step:
        return Reserved(path, (), no_map, f"the property reg of {path} is too short to name memory")
    spans = tuple(
        Span(
            int.from_bytes(reg[at : at + 4 * address], "big"), int.from_bytes(reg[at + 4 * address : at + step], "big")
        )
        for at in range(0, len(reg), step)
    )
    return Reserved(path, spans, no_map)


def choose(system: System, name: str, url: str) -> Span:
    """The first range of the node ``name`` or ``name@ADDRESS``; raises WindowUnavailable or ConfigError (several)."""
    there = reserved(system)
    found = [node for node in there if name in (node.name, node.name.split("@")[0])]
    if not found:
        names = ", ".join(node.name for node in there) or "none"
        raise WindowUnavailable(
            f"{url}: no reserved memory {name!r} in {root(system)} (found: {names})", code=ErrorCode.WINDOW_MISSING
        )
    if len(found) > 1:
        names = ", ".join(node.name for node in found)
        raise ConfigError(f"window {url}: several nodes match: name one of {names}", code=ErrorCode.AMBIGUOUS_DEVICE)
    (node,) = found
    if not node.no_map:
        raise WindowUnavailable(
            f"{url}: {node.path} has no property no-map, so the kernel maps it too, cached: add `no-map;` to the node",
            code=ErrorCode.WINDOW_UNMAPPABLE,
        )
    if node.problem:
        raise WindowUnavailable(f"{url}: {node.problem}", code=ErrorCode.DEVICE_BROKEN)
    return node.spans[0]
