"""Windows: memory that both sides reach.  One backend a file; this file is the contract and the table.

A URL is ``KIND:PLACE``, and ``+SIZE`` where the kind creates its memory: ``shm:vnetcard0+64K``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from vnetcard.errors import ConfigError
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import parse_size
from vnetcard.window.contract import Request, Window

__all__ = [
    "BACKENDS",
    "Request",
    "Window",
    "WindowUrl",
    "locate",
    "open_window",
    "read_window",
    "seen_side",
    "url_of_side",
]

BACKENDS = {
    "check": "vnetcard.window.check",
    "file": "vnetcard.window.file",
    "ivshmem": "vnetcard.window.ivshmem",
    "mem": "vnetcard.window.mem",
    "pci": "vnetcard.window.pci",
    "shm": "vnetcard.window.shm",
    "sim": "vnetcard.window.sim",
    "udmabuf": "vnetcard.window.udmabuf",
    "uio": "vnetcard.window.uio",
    "vfio": "vnetcard.window.vfio",
    "xdma": "vnetcard.x86_side.xdma.window",
}
"""Kind to module; a module offers ``open_window(request) -> Window`` and ``read_window(place) -> bytes``."""


@dataclass(frozen=True, slots=True)
class WindowUrl:
    """A window URL taken apart."""

    kind: str
    place: str
    size: int | None

    @classmethod
    def parse(cls, url: str) -> WindowUrl:
        """Take ``url`` apart; ConfigError names what is wrong and which kinds there are."""
        kind, colon, rest = url.partition(":")
        if not colon or kind not in BACKENDS:
            kinds = ", ".join(f"{name}:" for name in sorted(BACKENDS))
            raise ConfigError(f"window {url!r} is not understood: it starts with one of {kinds}")
        if "\0" in url:
            raise ConfigError(f"window {url!r} is not possible: a NUL can be in no name")
        place, plus, size = rest.rpartition("+")
        if not plus:
            place, size = rest, ""
        if not place:
            raise ConfigError(f"window {url!r} names no place: write {kind}:NAME")
        return cls(kind, place, parse_size(size) if plus else None)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def open_window(url: str, *, side: int, queue_bytes: int | None = None, queues: int | None = None) -> Window:
    """Open, or create, the window at ``url`` for ``side``.

    Raises ConfigError (the URL, an impossible size), WindowUnavailable (missing, no permission, no room,
    the side taken by another process, which is named), LayoutMismatch, or WindowNotReady (the card's side of
    device memory: the host's agent has not laid it out yet).
    """
    parsed = WindowUrl.parse(url)
    request = Request(place=parsed.place, side=side, size=parsed.size, queue_bytes=queue_bytes, queues=queues)
    window: Window = import_module(BACKENDS[parsed.kind]).open_window(request)
    return window


def read_window(url: str, limit: int | None = None) -> bytes:
    """A copy of the window's first ``limit`` bytes (default all), read without creating or locking anything."""
    parsed = WindowUrl.parse(url)
    limits = [size for size in (parsed.size, limit) if size is not None]
    copy: bytes = import_module(BACKENDS[parsed.kind]).read_window(parsed.place, min(limits, default=None))
    return copy


def locate(url: WindowUrl, system: System) -> Device | None:
    """The device memory that an agent would map for ``url``; opens nothing.  None: the kind is not device memory.

    Raises ConfigError and WindowUnavailable as ``open_window`` would.
    """
    find = getattr(import_module(BACKENDS[url.kind]), "locate", None)
    device: Device | None = find(url.place, url.size, system) if find else None
    return device


def url_of_side(url: str, side: int) -> str:
    """Under which URL ``read_window`` shows what the agent of ``side`` has at ``url``."""
    parsed = WindowUrl.parse(url)
    return f"{parsed}.{L.SIDES[side]}" if parsed.kind == "sim" else str(parsed)


def seen_side(url: str) -> int | None:
    """The side whose memory alone ``read_window(url)`` shows, HOST or CARD; None where both have one memory."""
    parsed = WindowUrl.parse(url)
    if parsed.kind != "sim":
        return None
    from vnetcard.window.sim import whose  # only here: a backend is loaded when it is used

    return whose(parsed.place)[1]
