"""vnetcard: a network card made of shared memory.

Two computers joined only by shared memory over PCIe each get an ordinary network interface.  Start with
``vnetcard demo``; the library's doors are ``open_window``, ``open_port``, ``Fifo`` and ``Link``.
"""

from vnetcard.errors import (
    Closed,
    ConfigError,
    FifoCorrupt,
    FrameTooLarge,
    LayoutMismatch,
    PeerGone,
    PortUnavailable,
    VnetcardError,
    WindowUnavailable,
)
from vnetcard.fifo import Fifo
from vnetcard.link import Link, LinkState
from vnetcard.port import open_port
from vnetcard.window import open_window

__version__ = "0.1.0"

__all__ = [
    "Closed",
    "ConfigError",
    "Fifo",
    "FifoCorrupt",
    "FrameTooLarge",
    "LayoutMismatch",
    "Link",
    "LinkState",
    "PeerGone",
    "PortUnavailable",
    "VnetcardError",
    "WindowUnavailable",
    "open_port",
    "open_window",
]
