"""The end of an agent's window: what could not be undone is logged, and the agent goes on."""

from __future__ import annotations

import logging

from vnetcard.errors import WindowUnavailable
from vnetcard.window import Window


def close_window(window: Window, log: logging.Logger) -> None:
    """Close ``window``; log a transfer that hangs in a driver, or a file that could not be removed."""
    hangs = window.engine.hangs() if window.engine else None
    try:
        window.close()
    except WindowUnavailable as error:
        log.warning("left behind: %s", error, extra={"code": error.code})
    if hangs:
        log.warning("left behind: %s", hangs)
