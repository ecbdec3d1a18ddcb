"""The link counters of a side block: two copies, each with a checksum, so that overwritten ones are noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vnetcard._core import Memory
from vnetcard.ring import layout as L

_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
_KNOWN: Final = len(L.LINK_COUNTERS)
_STEP_MAX: Final = 1 << 32
"""Most events that older software, which writes the first copy alone, may have counted since the second copy."""


def checksum(words: Sequence[int]) -> int:
    """That of a copy, over all words but its last: as vnc_ledger_sum() in _c/vnc_ledger.h."""
    plain, weighted = L.MAGIC, 0
    for word in words[: L.LINK_SLOT_WORDS - 1]:
        plain = (plain + word) & _WORD
        weighted = (weighted + plain) & _WORD
    return plain ^ ((weighted << 23 | weighted >> 41) & _WORD)


def _copy_offset(side: int, copy: int) -> int:
    return L.side_offset(side) + L.LINK_COUNTERS_OFFSET + 8 * L.LINK_SLOT_WORDS * copy


def _whole(words: Sequence[int]) -> bool:
    return words[-1] == checksum(words)


class LinkCounters:
    """The link counters of one side.  Only its owner calls ``count`` and ``restore``."""

    def __init__(self, memory: Memory, side: int) -> None:
        self._memory, self._side = memory, side
        self._words, self.ruined = _recover(memory, side)

    def count(self, name: str, events: int = 1) -> None:
        """Add ``events`` to a counter.  After a kill in between, one of the copies is whole."""
        at = L.LINK_COUNTERS.index(name)
        self._words[at] = (self._words[at] + events) & _WORD
        total = self._words[-1] = checksum(self._words)
        for copy in (1, 0):
            base = _copy_offset(self._side, copy)
            self._memory.store64(base + 8 * at, self._words[at])
            self._memory.store64(base + 8 * (L.LINK_SLOT_WORDS - 1), total)

    def restore(self) -> bool:
        """Write both copies again if the window does not hold what was counted; True: it did not."""
        overwritten = False
        for copy in (1, 0):
            base = _copy_offset(self._side, copy)
            there = self._memory.words(base, L.LINK_SLOT_WORDS)
            for at, (found, word) in enumerate(zip(there, self._words, strict=True)):
                if found != word:
                    self._memory.store64(base + 8 * at, word)
                    overwritten = True
        return overwritten

    def write(self) -> None:
        """Write both copies, in which older software may have left none, or one; what was ruined begins at 0."""
        self._words[-1] = checksum(self._words)
        self.restore()


def _recover(memory: Memory, side: int) -> tuple[list[int], bool]:
    """The words that the owner goes on with, and whether those in the window are ruined; then they are zeros."""
    first, second = (list(memory.words(_copy_offset(side, copy), L.LINK_SLOT_WORDS)) for copy in (0, 1))
    if _whole(first):
        return first, False
    if _whole(second):  # the owner was killed while it wrote the first, or older software has counted on in it
        ahead = [(one - other) & _WORD for one, other in zip(first[:_KNOWN], second[:_KNOWN], strict=True)]
        if all(step < _STEP_MAX or step == _WORD for step in ahead) and first[_KNOWN:-1] == second[_KNOWN:-1]:
            newer = [max(one, other) for one, other in zip(first[:_KNOWN], second[:_KNOWN], strict=True)]
            return newer + second[_KNOWN:], False
        return second, False
    older = not any(second) and not first[-1] and all(word < _WORD >> 2 for word in first)
    return (first, False) if older else ([0] * L.LINK_SLOT_WORDS, True)


def read_link_counters(memory: Memory, side: int) -> tuple[dict[str, int], bool]:
    """The counters by name, and whether another program has overwritten them; then they are zeros."""
    words, ruined = _recover(memory, side)
    return dict(zip(L.LINK_COUNTERS, words, strict=False)), ruined
