"""How what a side stores gets to its peer: by itself in memory that both share, by an engine otherwise.

``Transport`` is the seam between ``link.py``, which knows the order of the steps, and ``dma.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from vnetcard.engine.irq import IrqListener

Doorbells = tuple[Callable[[int], None], Callable[[int], None]]
"""Of a DMA engine: called with each new prod, and with each new cons.  Pumps take ``_core.Doorbell`` only."""


class Fault(str):
    """What has halted and why, in words; ``code`` is the engine's cause (``engine.registers.CAUSES``), or RESET."""

    __slots__ = ("code",)

    code: str

    def __new__(cls, text: str, code: str) -> Fault:
        fault = str.__new__(cls, text)
        fault.code = code
        return fault


class Transport(Protocol):
    """What carries this side's block and indices.  Each method raises WindowUnavailable when the device is gone."""

    def attach(self) -> None:
        """Before anything else, and again to recover from a fault: nothing of before is under way any more."""

    def announce(self) -> None:
        """This side's block has a new epoch: return once the peer can see it, or will as soon as it is there."""

    def publish(self, *, wait: bool = True) -> None:
        """This side's block has changed; with ``wait``, return once the peer can see it, as for ``announce``."""

    def reset_directions(self) -> None:
        """This side's pumps are held and its indices 0: what they published before is forgotten on the way too.

        Done when ``not_ready`` says None, which may be later.
        """

    def not_ready(self) -> str | None:
        """Why packets cannot move yet, in words; None: they can."""

    def fault(self) -> Fault | None:
        """What has stopped by itself, in words; None while all is well."""

    def detach(self) -> None:
        """This side goes: afterwards nothing touches its memory."""


class EngineTransport(Transport, Protocol):
    """A ``Transport`` that a window brings along: an engine, or a mover in software."""

    @property
    def has_peer_ledger(self) -> bool:
        """True: this side's memory also has the peer's counters, a moment old.  False: only the peer can tell."""

    @property
    def irq(self) -> IrqListener | None:
        """The listener to the engine's interrupt; None: it has none, or none was asked for."""

    def doorbells(self) -> Doorbells:
        """What the producer calls with each new prod, and the consumer with each new cons."""

    def describe(self) -> str:
        """What it is, in one line."""

    def statistics(self) -> DataclassInstance:
        """What went through it, and its state."""

    def registers(self) -> dict[str, int]:
        """Every register that can be read, by name; empty where it has none."""


class BackOff:
    """How long to wait before the next try: short at first and after a quiet time, twice as long each time else."""

    FIRST, LONGEST, QUIET = 0.1, 5.0, 10.0
    """Seconds."""

    def __init__(self) -> None:
        self._length = self.FIRST
        self._asked_at = -self.QUIET

    def next(self, now: float) -> float:
        """Seconds to wait from ``now``."""
        quiet = now - self._asked_at > self._length + self.QUIET
        self._length = self.FIRST if quiet else min(2 * self._length, self.LONGEST)
        self._asked_at = now
        return self._length


class SharedMemory:
    """Nothing has to be carried: the peer reads what is stored."""

    def attach(self) -> None:
        pass

    def announce(self) -> None:
        pass

    def publish(self, *, wait: bool = True) -> None:
        pass

    def reset_directions(self) -> None:
        pass

    def not_ready(self) -> str | None:
        return None

    def fault(self) -> Fault | None:
        return None

    def detach(self) -> None:
        pass
