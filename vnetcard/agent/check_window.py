"""What an agent checks about its window twice a second."""

from __future__ import annotations

from collections.abc import Callable

from vnetcard.codes.link import LinkReason
from vnetcard.link.link import Link
from vnetcard.window import Window


def check_window(window: Window, link: Link, report: Callable[[str, LinkReason], None]) -> str | None:
    """Why the memory is no longer shared with the peer, or None; counts and reports a superblock written again."""
    lost = window.vanished()
    restored = getattr(window, "restored", None)  # a window of a plug-in may have none
    if restored is not None and (words := restored()):
        link.own.count("superblock_restored")
        report(words, LinkReason.SUPERBLOCK_OVERWRITTEN)
    return lost
