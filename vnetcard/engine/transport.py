"""How a side's stores reach its peer: directly in shared memory, otherwise by a DMA engine or a copier.

``Transport`` is the interface between ``link.py``, which gives the order of the steps, and ``dma.py``.
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

    def __reduce__(self) -> tuple[type[Fault], tuple[str, str]]:
        """For copies (``copy.deepcopy``, ``dataclasses.asdict``)."""
        return Fault, (str(self), self.code)


class Transport(Protocol):
    """Moves this side's block, indices and ring data.  Each method raises WindowUnavailable if the device is gone."""

    def attach(self) -> None:
        """Called first, and again to recover from a fault: ends whatever is still in flight from before."""

    def announce(self) -> None:
        """Publish this side's block, with a new epoch: returns once the peer can see it, or will when it attaches."""

    def publish(self, *, wait: bool = True) -> None:
        """Publish this side's block after a change; with ``wait``, returns as ``announce`` does."""

    def reset_directions(self) -> None:
        """Discard indices in flight; called while this side's pumps are stopped and its indices are 0.

        Complete once ``not_ready`` returns None, which may be later.
        """

    def not_ready(self) -> str | None:
        """Why packets cannot move yet, for a message; None: they can."""

    def fault(self) -> Fault | None:
        """What has halted, for a message; None if nothing has."""

    def detach(self) -> None:
        """End: afterwards nothing accesses this side's memory."""


class EngineTransport(Transport, Protocol):
    """The ``Transport`` of a window: a DMA engine, or a copier in software."""

    @property
    def has_peer_ledger(self) -> bool:
        """True: this side's memory holds a recent copy of the peer's counters.  False: only the peer has them."""

    @property
    def irq(self) -> IrqListener | None:
        """The listener to the engine's interrupt; None: it has none, or none was asked for."""

    def hangs(self) -> str | None:
        """What a driver has not returned from for a second or more, in words; None: nothing."""

    def doorbells(self) -> Doorbells:
        """What the producer calls with each new prod, and the consumer with each new cons."""

    def describe(self) -> str:
        """Its description, in one line."""

    def statistics(self) -> DataclassInstance:
        """Its counters and its state."""

    def registers(self) -> dict[str, int]:
        """Its readable registers by name; empty if it has none."""


class SharedMemory:
    """The ``Transport`` of shared memory: nothing to do, as the peer reads what this side stores."""

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
