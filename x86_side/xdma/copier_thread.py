"""The DMA copier in a thread of its own: it serves the link's calls, is woken by the pumps, and wakes them."""

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
from vnetcard.terminal import capabilities
from vnetcard.window.contract import Pulse, no_pulse
from vnetcard.x86_side.xdma.copier_stats import CopierStats
from vnetcard.x86_side.xdma.dma_copier import DmaCopier
from vnetcard.x86_side.xdma.in_thread import PULSE_EVERY, beat

CALL_LIMIT: Final = 10.0
"""Seconds for one call; the XDMA driver's own limit for a transfer is 10 s, too."""
HANGS_AFTER: Final = 1.0
"""Seconds after which a transfer that has not returned is named."""
STOP_LIMIT: Final = 2.0
"""Seconds to wait for the thread to end; a thread that hangs in a driver is abandoned."""
IDLE_SHARE: Final = 8
"""An idle copier polls again after an eighth of the time for which it has been idle ..."""
IDLE_LONGEST: Final = 0.005
"""... or after this many seconds."""
IDLE_WITH_EVENTS: Final = 0.1
"""The same with a user interrupt of the card, which wakes the copier."""

_PROD, _CONS, _WAKE, _ALWAYS = 0, 64, 128, 192
"""Offsets in the page that the pumps write: prod and cons, which are not read; the futex word; and a constant 1
(need_wakeup: the copier needs every wake-up)."""


@dataclass(slots=True)
class _Call:
    act: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)
    error: WindowUnavailable | None = None


class CopierThread:
    """A running ``copier``, an ``EngineTransport``.  A read of the device ``events`` returns on an interrupt."""

    has_peer_ledger = True

    def __init__(
        self,
        copier: DmaCopier,
        what: str,
        *,
        events: Path | None = None,
        lost: Callable[[], str | None] = lambda: None,
        pulse: Pulse = no_pulse,
    ) -> None:
        """``what`` describes the copier; ``lost`` returns why its devices are gone, which ends a call that hangs.

        ``pulse`` is called while a call waits.  Raises OSError if ``events`` cannot be opened.
        """
        self._copier, self._what, self._lost, self._pulse = copier, what, lost, pulse
        self._map = mmap.mmap(-1, mmap.PAGESIZE)
        self._page = Memory(self._map)
        self._page.store32(_ALWAYS, 1)
        self._calls: collections.deque[_Call] = collections.deque()
        self._ending = False
        self._longest = IDLE_WITH_EVENTS if events else IDLE_LONGEST
        self._kick: Doorbell | None = self._doorbell(_PROD)
        self._rung = 0
        self.irq = IrqListener(events, self._ring) if events else None
        self._thread = threading.Thread(target=self._run, name="vnetcard copier", daemon=True)
        self._thread.start()

    def _doorbell(self, word: int) -> Doorbell:
        return Doorbell(self._page, word, wake_word=_WAKE, sleep_word=_ALWAYS)

    def _ring(self) -> None:
        if self._kick is not None:
            self._kick(0)

    # --- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        capabilities.shed()
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # a signal would interrupt a transfer
        idle_since = time.monotonic()
        while not self._ending:
            woken = self._page.load32(_WAKE)  # first: a wake-up after this load ends the wait below
            busy = self._serve_calls() | self._copier.step()
            now = time.monotonic()
            if busy:
                idle_since = now
            else:
                self._page.wait32(_WAKE, woken, min((now - idle_since) / IDLE_SHARE, self._longest))
        self._serve_calls()

    def _serve_calls(self) -> bool:
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

    def _call(self, act: Callable[[], None], *, wait: bool = True) -> None:
        call = _Call(act)
        self._calls.append(call)
        self._ring()
        if not wait:
            return
        deadline = time.monotonic() + CALL_LIMIT
        while not call.done.wait(PULSE_EVERY):
            if why := self._lost():
                raise WindowUnavailable(why, code=ErrorCode.DEVICE_GONE)
            beat(self._pulse, self.hangs)
            if time.monotonic() < deadline:
                continue
            why = self._copier.waits(0) or "it is busy"
            raise WindowUnavailable(f"{self._copier.name} did not return within {CALL_LIMIT:.0f} s: {why}")
        if call.error is not None:
            raise call.error

    # --- calls of the link (EngineTransport) ------------------------------------------------------------

    def attach(self) -> None:
        self._call(self._copier.attach)

    def announce(self) -> None:
        self._call(self._copier.announce)

    def publish(self, *, wait: bool = True) -> None:
        self._call(self._copier.publish, wait=wait)

    def reset_directions(self) -> None:
        self._call(self._copier.reset_directions)

    def not_ready(self) -> str | None:
        return self._copier.not_ready()

    def fault(self) -> Fault | None:
        return self._copier.fault()

    def detach(self) -> None:
        self._call(self._copier.detach)

    def doorbells(self) -> Doorbells:
        return self._doorbell(_PROD), self._doorbell(_CONS)

    def hangs(self) -> str | None:
        """The transfer that the driver does not end, with its card address; None: there is none."""
        return self._copier.waits(HANGS_AFTER)

    def describe(self) -> str:
        hangs = self.hangs()
        return f"{self._what}; {hangs}" if hangs else self._what

    def statistics(self) -> CopierStats:
        return self._copier.stats

    def registers(self) -> dict[str, int]:
        return {}

    def join(self) -> None:
        """Wait for the end of the thread, which ``close`` has asked for, for as long as the driver holds it."""
        self._thread.join()

    def close(self) -> bool:
        """End the thread, after the pumps are closed; False if it hangs in a transfer and still uses its memory."""
        self._ending = True
        self._ring()
        self._thread.join(STOP_LIMIT)
        irq, self.irq = self.irq, None
        if irq is not None:
            irq.close()
        if self._thread.is_alive():
            return False
        self._kick = None
        with contextlib.suppress(BufferError):  # a doorbell is still referenced
            self._page.close()
            self._map.close()
        return True
