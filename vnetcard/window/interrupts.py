"""Interrupts: how the two sides wake one another where no futex reaches the peer but an interrupt does.

A side publishes a number in its block; a peer that knows it can raise that side's two interrupts: one says that there
is a new prod, for the pump that receives, one that there is a new cons, for the pump that sends.  Feature IRQ: both
sides can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

PROD: Final = 0
"""The interrupt vector, or bell, that says: there is a new prod."""
CONS: Final = 1
VECTORS: Final = 2


@dataclass(frozen=True, slots=True)
class IrqTrigger:
    """One bell of the peer: an eventfd, or a file of registers, where one is, and the value that interrupts."""

    fd: int = -1
    at: int = -1
    value: int = 0


class Interrupts(Protocol):
    """A window's interrupts."""

    @property
    def number(self) -> int:
        """What the peer rings to reach this side; never 0."""

    @property
    def eventfds(self) -> tuple[int, int]:
        """Eventfds that hear this side's interrupts: PROD and CONS."""

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        """The peer's interrupts, PROD and CONS; None when nobody has that number."""
