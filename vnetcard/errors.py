"""Every exception that vnetcard raises on purpose.

::

    Exception
    └── VnetcardError              anything below; catch this one in a program that uses vnetcard
        ├── ConfigError            the request cannot be served as it stands: the caller must change it
        ├── WindowUnavailable      the shared memory is not there
        ├── WindowNotReady         the memory is there, but the host has not laid a window out in it yet
        ├── PortUnavailable        the network interface is not there
        ├── LayoutMismatch         the memory is there, but speaks another wire format
        ├── FifoCorrupt            the peer broke the rules of a FIFO
        ├── FrameTooLarge          one frame does not fit
        ├── PeerGone               the other side stopped or restarted
        └── Closed                 the object was closed by this program

A full or an empty FIFO is a return value, not an error.  Messages say what, where, and what to do.
"""

from __future__ import annotations

from typing import ClassVar

from vnetcard.codes.error import ErrorCode


class VnetcardError(Exception):
    """Base of the tree; never raised itself.

    ``code`` says to programs what the message says to people; each class has a default.
    """

    DEFAULT: ClassVar[ErrorCode] = ErrorCode.BAD_CONFIG

    def __init__(self, message: str = "", *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code or self.DEFAULT


class ConfigError(VnetcardError):
    """Raised when an option, argument, file or the machine's set-up does not allow what was asked.

    Nothing has been started or changed.  The message names the value, what would be accepted, or the
    program to install.  The command line answers with exit status 2.
    """


class WindowUnavailable(VnetcardError):
    """Raised when the memory of a window cannot be opened or mapped: it is missing, forbidden or too small.

    Also raised when a window that was open has gone, such as a PCIe device that was removed.
    """

    DEFAULT = ErrorCode.WINDOW_UNAVAILABLE


class WindowNotReady(VnetcardError):
    """Raised on the card's side when the memory is there, but the host's agent has not laid a window out in it yet.

    Trying again later makes sense: an agent does.
    """

    DEFAULT = ErrorCode.WINDOW_NOT_READY


class PortUnavailable(VnetcardError):
    """Raised when the network interface cannot be opened or made, or was deleted while in use."""

    DEFAULT = ErrorCode.PORT_UNAVAILABLE


class LayoutMismatch(VnetcardError):
    """Raised when a window's superblock is absent, damaged, or names a wire format that this code does not speak."""

    DEFAULT = ErrorCode.LAYOUT_MISMATCH


class FifoCorrupt(VnetcardError):
    """Raised when an index or a record that the peer wrote is impossible.

    Nothing after the bad value has been used.  Only a new generation, by a restart of the link, goes on.
    """

    DEFAULT = ErrorCode.FIFO_CORRUPT


class FrameTooLarge(VnetcardError):
    """Raised when a frame is longer than the FIFO, the interface or the wire format can take; it was not sent."""

    DEFAULT = ErrorCode.FRAME_TOO_LARGE


class PeerGone(VnetcardError):
    """Raised when the other side stopped, restarted or no longer shows a heartbeat during an exchange with it.

    ``unresponsive``: its process is there, and does not answer.
    """

    DEFAULT = ErrorCode.PEER_GONE

    def __init__(self, message: str = "", *, code: ErrorCode | None = None, unresponsive: bool = False) -> None:
        super().__init__(message, code=code or (ErrorCode.PEER_UNRESPONSIVE if unresponsive else None))
        self.unresponsive = unresponsive


class Closed(VnetcardError):
    """Raised when a window, FIFO or port is used after its ``close()``."""

    DEFAULT = ErrorCode.CLOSED
