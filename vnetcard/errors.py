"""Every exception that vnetcard raises on purpose.

::

    Exception
    └── VnetcardError              anything below; catch this one in a program that uses vnetcard
        ├── ConfigError            an argument, option or file is invalid: the caller must change it
        ├── WindowUnavailable      the shared memory cannot be used
        ├── WindowNotReady         the memory exists, but the host has not laid out a window in it yet
        ├── PortUnavailable        the network interface cannot be used
        ├── LayoutMismatch         the memory holds no window, or one of another wire format
        ├── FifoCorrupt            the peer wrote an impossible index or record
        ├── FrameTooLarge          a frame is longer than allowed
        ├── PeerGone               the peer stopped, restarted or does not answer
        └── Closed                 this program has closed the object

A full or an empty FIFO is a return value, not an error.  Messages say what, where, and what to do.  Each exception has
a ``code`` (``vnetcard.codes.error.ErrorCode``) for programs.
"""

from __future__ import annotations

from typing import ClassVar

from vnetcard.codes.error import ErrorCode


class VnetcardError(Exception):
    """The base class; only its subclasses are raised.

    ``code`` is a stable code for programs, the message is for people; each class has a default code.
    """

    DEFAULT: ClassVar[ErrorCode] = ErrorCode.BAD_CONFIG

    def __init__(self, message: str = "", *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code or self.DEFAULT


class ConfigError(VnetcardError):
    """Raised when an option, argument, file or the machine's configuration makes a request impossible.

    Nothing has been started or changed.  The message names the value and the accepted ones, or the program to
    install.  Commands end with exit status 2.
    """


class WindowUnavailable(VnetcardError):
    """Raised when the memory of a window cannot be opened or mapped: it is missing, not permitted or too small.

    Also raised when an open window disappears, for example because its PCIe device was removed.
    """

    DEFAULT = ErrorCode.WINDOW_UNAVAILABLE


class WindowNotReady(VnetcardError):
    """Raised on the card when the memory exists, but the host's agent has not laid out a window in it yet.

    The caller may try again later, as the agents do.
    """

    DEFAULT = ErrorCode.WINDOW_NOT_READY


class PortUnavailable(VnetcardError):
    """Raised when the network interface cannot be opened or created, or was deleted while in use."""

    DEFAULT = ErrorCode.PORT_UNAVAILABLE


class LayoutMismatch(VnetcardError):
    """Raised when a window's superblock is missing, damaged, or of an unsupported wire format."""

    DEFAULT = ErrorCode.LAYOUT_MISMATCH


class FifoCorrupt(VnetcardError):
    """Raised when the peer wrote an impossible index or record.

    Nothing after the bad value has been used.  Packets move again only after a restart of the link.
    """

    DEFAULT = ErrorCode.FIFO_CORRUPT


class FrameTooLarge(VnetcardError):
    """Raised when a frame is longer than the FIFO, the interface or the wire format allows; it was not sent."""

    DEFAULT = ErrorCode.FRAME_TOO_LARGE


class PeerGone(VnetcardError):
    """Raised when the peer, or an agent that was asked, has stopped, has restarted or does not answer.

    ``unresponsive``: its process exists, but does not answer.
    """

    DEFAULT = ErrorCode.PEER_GONE

    def __init__(self, message: str = "", *, code: ErrorCode | None = None, unresponsive: bool = False) -> None:
        super().__init__(message, code=code or (ErrorCode.PEER_UNRESPONSIVE if unresponsive else None))
        self.unresponsive = unresponsive


class Closed(VnetcardError):
    """Raised when a window, FIFO or port is used after its ``close()``."""

    DEFAULT = ErrorCode.CLOSED
