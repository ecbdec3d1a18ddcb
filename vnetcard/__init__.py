"""vnetcard: a network card made of shared memory.

Two computers joined only by shared memory over PCIe each get an ordinary network interface.  Start with
``vnetcard demo``; programs start with ``LinkSession`` (docs/library.md), or with ``open_window`` and ``Fifo``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vnetcard.errors import (
        Closed,
        ConfigError,
        FifoCorrupt,
        FrameTooLarge,
        LayoutMismatch,
        PeerGone,
        PortUnavailable,
        VnetcardError,
        WindowNotReady,
        WindowUnavailable,
    )
    from vnetcard.link.link import Link
    from vnetcard.link.session import LinkSession
    from vnetcard.link.types import LinkState
    from vnetcard.port import open_port
    from vnetcard.port.async_client import AsyncPortClient
    from vnetcard.port.client import PortClient
    from vnetcard.ring.fifo import Fifo
    from vnetcard.ring.layout import CARD, HOST
    from vnetcard.window import open_window

__version__ = "0.1.0"

__all__ = [
    "CARD",
    "HOST",
    "AsyncPortClient",
    "Closed",
    "ConfigError",
    "Fifo",
    "FifoCorrupt",
    "FrameTooLarge",
    "LayoutMismatch",
    "Link",
    "LinkSession",
    "LinkState",
    "PeerGone",
    "PortClient",
    "PortUnavailable",
    "VnetcardError",
    "WindowNotReady",
    "WindowUnavailable",
    "open_port",
    "open_window",
]

_HOMES = {
    "AsyncPortClient": "port.async_client",
    "CARD": "ring.layout",
    "Fifo": "ring.fifo",
    "HOST": "ring.layout",
    "Link": "link.link",
    "LinkSession": "link.session",
    "LinkState": "link.types",
    "PortClient": "port.client",
    "open_port": "port",
    "open_window": "window",
}
"""Modules of the names in ``__all__`` that are not errors."""


def __getattr__(name: str) -> object:
    """Load a name when it is first used: importing this package stays fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value
