"""A copy of each side's ledgers and counters in the other side's memory, made by the DMA copier.

The handshake and the pumps do not read the copies.  ``status`` does, and so shows both sides as in shared memory.
"""

from __future__ import annotations

from typing import Final

from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.x86_side.xdma.channel import CardMemory

EVERY: Final = 0.25
"""Seconds between two copies."""
_LEDGER_BYTES: Final = 2 * L.LEDGER_SLOT_BYTES + L.STATS_BYTES


def written_by(side: int) -> tuple[tuple[int, int], ...]:
    """(offset, bytes) of what ``side`` writes besides its control line and its index lines."""
    queue, block = L.queue_offset(0), L.side_offset(side)
    ends = f"{L.DIRECTIONS[side]}_tx", f"{L.DIRECTIONS[1 - side]}_rx"
    ledgers = tuple((queue + L.QUEUE_LEDGERS[end], _LEDGER_BYTES) for end in ends)
    batches = tuple((queue + L.QUEUE_BATCHES[end], L.LINE) for end in ends)
    return ((block + L.LINE, L.SIDE_BYTES - L.LINE), *ledgers, *batches)


class LedgerMirror:
    """Copies the ledgers and counters of ``side`` to the card, and those of the card to this memory."""

    def __init__(self, memory: Memory, card: CardMemory, side: int) -> None:
        self._memory, self._card = memory, card
        self._own, self._peer = written_by(side), written_by(1 - side)
        self._due = 0.0

    def update(self, now: float) -> None:
        """Copy, at most every ``EVERY`` seconds; raises TransferFailed or DeviceGone."""
        if now < self._due:
            return
        self._due = now + EVERY
        for at, count in self._own:
            self._card.write(at, self._memory.read(at, count))
        for at, count in self._peer:
            self._memory.write(at, self._card.read(at, count))
