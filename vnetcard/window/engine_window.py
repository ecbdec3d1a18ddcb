"""A window that belongs to one side, behind a DMA engine on a board: the shared part of ``udmabuf:`` and ``vfio:``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.engine.dma import GONE, Engine, Registers, Wakeups
from vnetcard.engine.irq import IrqListener
from vnetcard.errors import WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.ring import layout as L
from vnetcard.window.device import DeviceWindow
from vnetcard.window.file_backed import BackedWindow


class Page(Protocol):
    """The engine's registers, mapped."""

    @property
    def url(self) -> str:
        """Its URL, for messages."""

    @property
    def registers(self) -> Registers:
        """This side's page."""

    def lost(self) -> str | None:
        """Why they are no longer there, or None."""

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Idempotent."""


class EngineWindow:
    """This side's memory, at bus address ``base``, and the engine; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, window: DeviceWindow | BackedWindow, page: Page, side: int, base: int) -> None:
        """Raises as ``Engine`` does."""
        self._window, self._page, self._side = window, page, side
        self.url, self.memory, self.geometry, self.notes = window.url, window.memory, window.geometry, window.notes
        self.restored = window.restored
        self.engine = Engine(page.registers, side, base=base, geometry=window.geometry, name=f"the engine {page.url}")
        self._listener: IrqListener | None = None
        self._release: Callable[[], None] = lambda: None
        self.futex_wake = False
        self.interrupts = None

    def listen(self, source: Path | int, *, unmask: bytes = b"", wakeups: Wakeups = Wakeups.SLEEPING) -> None:
        """Let the engine's interrupt wake the pumps, which may sleep from now on; see ``IrqListener``.

        Raises WindowUnavailable where ``source`` cannot be opened.
        """
        handler = wakes_sleepers(self.memory, self._page.registers, self._side)
        try:
            self.engine.irq = self._listener = IrqListener(source, handler, unmask=unmask)
        except OSError as error:
            raise WindowUnavailable(
                f"{self.url}: cannot listen to {source} ({error.strerror})", code=code_of(error)
            ) from error
        self.engine.wakeups = wakeups
        self.futex_wake = True

    def on_close(self, release: Callable[[], None]) -> None:
        """``close`` ends with ``release``, which may close page and window once more."""
        self._release = release

    def vanished(self) -> str | None:
        return self._page.lost() or self._window.vanished()

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._page.close()
        self._window.close()
        self._release()
        self._release = lambda: None


_ROUNDS: Final = 16
"""Reads of the causes of one interrupt; a device that still has some after these is faulty."""


class _Status(Protocol):
    def read32(self, offset: int, /) -> int: ...
    def write32(self, offset: int, value: int, /) -> None: ...


def wakes_sleepers(memory: Memory, registers: _Status, side: int) -> Callable[[], None]:
    """An interrupt handler: it clears the causes, and wakes the pumps that sleep on words of ``side``'s memory."""
    status = R.offset("irq_status")
    lines = f"{L.DIRECTIONS[1 - side]}_prod", f"{L.DIRECTIONS[side]}_cons"
    words = [L.queue_offset(0) + L.QUEUE_LINES[line] for line in lines]

    def clear_causes() -> None:
        """Until there is none, as an MSI is an edge: a cause that comes meanwhile raises no other."""
        for _ in range(_ROUNDS):
            causes = registers.read32(status)
            if causes in (0, GONE):
                return
            registers.write32(status, causes)

    def handle() -> None:
        try:
            clear_causes()
        except WindowUnavailable:
            return  # the device is gone; the link's next access reports it
        for word in words:
            memory.wake32(word)

    return handle
