"""How far a mover in software has come in each direction, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RingProgress:
    """One direction; indices as bytes, free-running: ``moved`` stands at the other side, ``freed`` came back."""

    direction: str
    moved: int = 0
    freed: int = 0
    bytes: int = 0
    bursts: int = 0
    publications: int = 0

    def restart(self) -> None:
        """From index 0."""
        self.moved = self.freed = 0


@dataclass(slots=True)
class CopierStats:
    """What went through: ``tx`` leaves this side; ``looks`` at the card's lines, ``retries`` of busy channels."""

    tx: RingProgress
    rx: RingProgress
    state: str = "off"
    looks: int = 0
    retries: int = 0
    halts: int = 0


def pieces(start: int, length: int, size: int) -> list[tuple[int, int]]:
    """``length`` bytes from index ``start`` of a ring of ``size``: one or two (offset, bytes)."""
    at = start % size
    first = min(length, size - at)
    return [(offset, piece) for offset, piece in ((at, first), (0, length - first)) if piece]
