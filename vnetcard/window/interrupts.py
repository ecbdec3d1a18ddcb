"""Interrupts by which the two sides wake each other where an interrupt reaches the peer and a futex does not.

A side publishes a number in its block, by which the peer can raise that side's two interrupts: PROD for a new prod
(for the pump that receives), CONS for a new cons (for the pump that sends).  Feature IRQ: both sides can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

PROD: Final = 0
"""The interrupt vector for a new prod; CONS is that for a new cons."""
CONS: Final = 1
VECTORS: Final = 2


@dataclass(frozen=True, slots=True)
class IrqTrigger:
    """How to raise one interrupt of the peer: an eventfd ``fd``; or write ``value`` at ``at`` of the file ``fd``."""

    fd: int = -1
    at: int = -1
    value: int = 0


class Interrupts(Protocol):
    """A window's interrupts."""

    @property
    def number(self) -> int:
        """The number by which the peer raises this side's interrupts; never 0."""

    @property
    def eventfds(self) -> tuple[int, int]:
        """The eventfds that this side's interrupts signal: PROD and CONS."""

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        """The peer's interrupts, PROD and CONS; None if no peer has that number."""
