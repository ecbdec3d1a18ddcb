"""Transfers that a driver may hold for many seconds, while their caller stays responsive."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from vnetcard.errors import WindowUnavailable
from vnetcard.terminal import capabilities
from vnetcard.window.contract import Pulse

PULSE_EVERY: Final = 0.25
"""Seconds between two pulses of a wait, in which the caller may notice a signal, a removal, the end of its patience."""

T = TypeVar("T")


Waits = Callable[[], str | None]
"""What a wait is for, in words; None: unknown."""


def beat(pulse: Pulse, waits: Waits) -> None:
    """Call ``pulse``; if it ends the wait, the error says what was waited for."""
    try:
        pulse()
    except WindowUnavailable as error:
        what = waits()
        raise WindowUnavailable(f"{error}: {what}" if what else str(error), code=error.code) from error


def in_thread(act: Callable[[], T], pulse: Pulse, waits: Waits) -> T:
    """The result of ``act``, called in a thread of its own, or what it raised; meanwhile ``pulse`` is called.

    When ``pulse`` raises, the thread is abandoned: a transfer that hangs in a driver can only be left.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        capabilities.shed()
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # a signal would interrupt a transfer
        try:
            results.append(act())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="vnetcard transfer", daemon=True).start()
    while not done.wait(PULSE_EVERY):
        beat(pulse, waits)
    if errors:
        raise errors[0]
    return results[0]
