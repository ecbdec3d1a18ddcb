"""A software mover in a thread of its own: the link's calls go to it, pumps ring it, and it wakes pumps."""

from __future__ import annotations

import collections
import contextlib
import mmap
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vnetcard._core import Doorbell, Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.engine.irq import IrqListener
from vnetcard.engine.transport import Doorbells, Fault
from vnetcard.errors import WindowUnavailable
from vnetcard.x86_side.xdma.copier_stats import CopierStats
from vnetcard.x86_side.xdma.dma_copier import DmaCopier

CALL_LIMIT: Final = 10.0
"""Seconds for one call: the XDMA driver gives a transfer up after as many."""
LOST_EVERY: Final = 0.25
"""Seconds between two checks during a call of whether the devices are still there."""
STOP_LIMIT: Final = 2.0
"""Seconds to wait for the thread at the end; one that hangs in a driver is left behind."""
IDLE_SHARE: Final = 8
"""An idle mover looks again after an eighth of the time for which it has been idle ..."""
IDLE_LONGEST: Final = 0.005
"""... or after this many seconds."""
IDLE_WITH_EVENTS: Final = 0.1
"""The same where an interrupt says that there is something."""

_PROD, _CONS, _BELL, _ALWAYS = 0, 64, 128, 192
"""Words of the page through which pumps ring: two that nobody reads, a futex, and a 1: the mover wants each ring."""


@dataclass(slots=True)
class _Call:
    act: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)
    error: WindowUnavailable | None = None


class CopierThread:
    """``mover``, running: a ``transport.EngineTransport``.  ``events``: a device to read that answers when to look."""

    has_peer_ledger = True

    def __init__(
        self,
        mover: DmaCopier,
        what: str,
        *,
        events: Path | None = None,
        lost: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``what`` describes the mover; ``lost`` returns why its devices are gone, which ends a call that hangs.

        Raises OSError for an ``events`` that cannot be opened.
        """
        self._mover, self._what, self._lost = mover, what, lost
        self._map = mmap.mmap(-1, mmap.PAGESIZE)
        self._page = Memory(self._map)
        self._page.store32(_ALWAYS, 1)
        self._calls: collections.deque[_Call] = collections.deque()
        self._ending = False
        self._longest = IDLE_WITH_EVENTS if events else IDLE_LONGEST
        self._kick: Doorbell | None = self._bell(_PROD)
        self._rung = 0
        self.irq = IrqListener(events, self._ring) if events else None
        self._thread = threading.Thread(target=self._run, name="vnetcard mover", daemon=True)
        self._thread.start()

    def _bell(self, word: int) -> Doorbell:
        return Doorbell(self._page, word, wake_word=_BELL, sleep_word=_ALWAYS)

    def _ring(self) -> None:
        if self._kick is not None:
            self._kick(0)

    # --- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # a signal would end a transfer early
        idle_since = time.monotonic()
        while not self._ending:
            bell = self._page.load32(_BELL)  # first: whoever rings from here on ends the wait below
            busy = self._answer_calls() | self._mover.step()
            now = time.monotonic()
            if busy:
                idle_since = now
            else:
                self._page.wait32(_BELL, bell, min((now - idle_since) / IDLE_SHARE, self._longest))
        self._answer_calls()

    def _answer_calls(self) -> bool:
        any_call = False
        while self._calls:
            call = self._calls.popleft()
            any_call = True
            try:
                call.act()
            except WindowUnavailable as error:
                call.error = error
            call.done.set()
        return any_call

    def _ask(self, act: Callable[[], None], *, wait: bool = True) -> None:
        call = _Call(act)
        self._calls.append(call)
        self._ring()
        if not wait:
            return
        deadline = time.monotonic() + CALL_LIMIT
        while not call.done.wait(LOST_EVERY):
            if why := self._lost():
                raise WindowUnavailable(why, code=ErrorCode.DEVICE_GONE)
            if time.monotonic() < deadline:
                continue
            raise WindowUnavailable(f"{self._mover.name} has not answered within {CALL_LIMIT:.0f} s: a transfer hangs")
        if call.error is not None:
            raise call.error

    # --- what the link asks (EngineTransport) ------------------------------------------------------------

    def attach(self) -> None:
        self._ask(self._mover.attach)

    def announce(self) -> None:
        self._ask(self._mover.announce)

    def publish(self, *, wait: bool = True) -> None:
        self._ask(self._mover.publish, wait=wait)

    def reset_directions(self) -> None:
        self._ask(self._mover.reset_directions)

    def not_ready(self) -> str | None:
        return self._mover.not_ready()

    def fault(self) -> Fault | None:
        return self._mover.fault()

    def detach(self) -> None:
        self._ask(self._mover.detach)

    def doorbells(self) -> Doorbells:
        return self._bell(_PROD), self._bell(_CONS)

    def describe(self) -> str:
        return self._what

    def statistics(self) -> CopierStats:
        return self._mover.figures

    def registers(self) -> dict[str, int]:
        return {}

    def close(self) -> bool:
        """End the thread; False when it hangs in a transfer, and goes on using its memory.  Pumps are closed first."""
        self._ending = True
        self._ring()
        self._thread.join(STOP_LIMIT)
        if self.irq is not None:
            self.irq.close()
        if self._thread.is_alive():
            return False
        self._kick = None
        with contextlib.suppress(BufferError):  # somebody kept a doorbell
            self._page.close()
            self._map.close()
        return True
