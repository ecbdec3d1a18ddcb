"""A window of which a part is missing: how a link finds that out, and what it says."""

from __future__ import annotations

from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason
from vnetcard.errors import WindowUnavailable
from vnetcard.ring.sideblock import SideBlock


def check_memory(block: SideBlock) -> None:
    """Raise WindowUnavailable once the link or a pump has found a part of the memory missing (SIGBUS, EFAULT)."""
    if block.memory_lost:
        raise WindowUnavailable(
            "a part of the window's memory is missing: its file was cut short, or its file system is full",
            code=ErrorCode.WINDOW_LOST,
        )


def reason_of(error: WindowUnavailable) -> LinkReason:
    """The reason of a link that ``error`` has taken down."""
    return LinkReason.WINDOW_LOST if error.code is ErrorCode.WINDOW_LOST else LinkReason.DEVICE_GONE
