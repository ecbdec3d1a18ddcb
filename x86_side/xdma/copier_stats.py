"""Progress and counters of a DMA copier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RingProgress:
    """One direction.  Indices are free-running byte counts: up to ``moved`` copied, up to ``freed`` consumed.

    ``bytes`` and ``bursts`` count the copied data and the transfers, ``publications`` the published prod indices.
    """

    direction: str
    moved: int = 0
    freed: int = 0
    bytes: int = 0
    bursts: int = 0
    publications: int = 0

    def restart(self) -> None:
        """Start from index 0; the counters continue."""
        self.moved = self.freed = 0


@dataclass(slots=True)
class CopierStats:
    """Counters: ``tx`` leaves this side; ``polls`` of the card's index lines; ``retries`` on busy channels."""

    tx: RingProgress
    rx: RingProgress
    state: str = "off"
    polls: int = 0
    retries: int = 0
    halts: int = 0


def pieces(start: int, length: int, size: int) -> list[tuple[int, int]]:
    """One or two (offset, bytes) spans: ``length`` bytes from index ``start`` on in a ring of ``size`` bytes."""
    at = start % size
    first = min(length, size - at)
    return [(offset, piece) for offset, piece in ((at, first), (0, length - first)) if piece]
