"""Windows: memory that both sides reach, one module per kind; this file is their table.

A URL is ``KIND:PLACE``, with ``+SIZE`` where the kind creates its memory: ``shm:vnetcard0+64K``.  The contract is
``contract.py``; other packages add kinds by entry points of the group ``vnetcard.windows`` (docs/plugins.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System
from vnetcard.plugins.kinds import Kinds
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import parse_size
from vnetcard.window.contract import Pulse, Request, Window, no_pulse
from vnetcard.window.trust import bare_place

__all__ = [
    "KINDS",
    "Request",
    "Window",
    "WindowUrl",
    "locate",
    "open_window",
    "read_window",
    "seen_side",
    "url_of_side",
    "without_options",
]

KINDS = Kinds(
    "vnetcard.windows",
    {
        "check": "vnetcard.window.check",
        "file": "vnetcard.window.file",
        "ivshmem": "vnetcard.window.ivshmem",
        "mem": "vnetcard.window.mem",
        "memfd": "vnetcard.window.memfd",
        "pci": "vnetcard.window.pci",
        "shm": "vnetcard.window.shm",
        "sim": "vnetcard.window.sim",
        "udmabuf": "vnetcard.window.udmabuf",
        "uio": "vnetcard.window.uio",
        "vfio": "vnetcard.window.vfio",
    },
    ("open_window", "read_window"),
)
"""Kind to module; a module offers ``open_window(request: Request) -> Window`` and
``read_window(place: str, limit: int | None) -> bytes``."""


@dataclass(frozen=True, slots=True)
class WindowUrl:
    """The parts of a window URL; ``size`` in bytes."""

    kind: str
    place: str
    size: int | None

    @classmethod
    def parse(cls, url: str) -> WindowUrl:
        """Split ``url``; ConfigError names what is wrong, and the known kinds."""
        kind, colon, rest = url.partition(":")
        if not colon or kind not in KINDS:
            kinds = ", ".join(KINDS.names())
            raise ConfigError(
                f"invalid window URL {url!r}: expected KIND:PLACE, KIND one of {kinds}", code=ErrorCode.BAD_URL
            )
        if "\0" in url:
            raise ConfigError(f"invalid window URL {url!r}: it contains a NUL character", code=ErrorCode.BAD_URL)
        place, plus, size = rest.rpartition("+")
        if not plus:
            place, size = rest, ""
        if not place:
            raise ConfigError(
                f"invalid window URL {url!r}: expected a place after {kind!r}, as in {kind}:NAME",
                code=ErrorCode.BAD_URL,
            )
        return cls(kind, place, parse_size(size) if plus else None)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def open_window(
    url: str,
    *,
    side: int,
    queue_bytes: int | None = None,
    queues: int | None = None,
    pulse: Pulse = no_pulse,
    new_queues: int = 1,
) -> Window:
    """Open, or create, the window at ``url`` for ``side`` (HOST or CARD).

    ``queue_bytes`` is the size of each ring, ``queues`` the number of queue pairs; None accepts what exists, or
    the default: ``new_queues`` queue pairs in new plain memory whose rings then still have 1 MiB, else one.  ``pulse``
    is called several times a second while a device lets the caller wait, here and in the calls of the link; a
    WindowUnavailable that it raises ends the wait.

    Raises ConfigError (the URL, a size out of range, a broken plug-in), WindowUnavailable (missing, no permission,
    no space, the side is taken by another process, which is named), LayoutMismatch, or WindowNotReady (the card's
    side of device memory: the host's agent has not laid out a window in it yet).
    """
    parsed = WindowUrl.parse(url)
    request = Request(parsed.place, side, parsed.size, queue_bytes, queues, pulse, new_queues)
    window: Window = KINDS.load(parsed.kind).open_window(request)
    return window


def read_window(url: str, limit: int | None = None) -> bytes:
    """A copy of the window's first ``limit`` bytes (default: all); creates and locks nothing.

    Raises as ``open_window``.
    """
    parsed = WindowUrl.parse(url)
    limits = [size for size in (parsed.size, limit) if size is not None]
    copy: bytes = KINDS.load(parsed.kind).read_window(parsed.place, min(limits, default=None))
    return copy


def locate(url: WindowUrl, system: System) -> Device | None:
    """The device memory that an agent would map for ``url``; opens nothing.  None: the kind is not device memory.

    Raises ConfigError and WindowUnavailable as ``open_window`` would.
    """
    find = getattr(KINDS.load(url.kind), "locate", None)
    device: Device | None = find(url.place, url.size, system) if find else None
    return device


_WITH_OPTIONS = frozenset({"ivshmem", "mem", "pci", "udmabuf", "uio", "vfio", "xdma"})
_NAMES_A_FILE = frozenset({"file", "memfd", "shm"})  # its name may have a '?'


def without_options(url: str) -> str:
    """``url`` up to its options (``?engine=...``): two URLs that differ in options alone name the same memory."""
    kind, _, _ = url.partition(":")
    if kind in _NAMES_A_FILE:
        return bare_place(url)
    return url.partition("?")[0] if kind in _WITH_OPTIONS else url


def url_of_side(url: str, side: int) -> str:
    """The URL with which ``read_window`` reads the memory that the agent of ``side`` has at ``url``."""
    parsed = WindowUrl.parse(url)
    return f"{parsed}.{L.SIDES[side]}" if parsed.kind == "sim" else str(parsed)


def seen_side(url: str) -> int | None:
    """The side whose memory ``read_window(url)`` reads, HOST or CARD; None where both sides share one memory."""
    parsed = WindowUrl.parse(url)
    if parsed.kind != "sim":
        return None
    from vnetcard.window.sim import whose  # only here: a backend is loaded when it is used

    return whose(parsed.place)[1]
