"""At most 20 log lines in any second: what is beyond is counted by its text and follows as ``... 3,412 times``."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

LINES: Final = 15
"""Most lines in any second that are written as they come."""
SUMMARIES: Final = 5
"""Most lines in any second that report the ones which were withheld."""
SPAN: Final = 1.0
"""The second."""
KEPT: Final = 64
"""Different texts that are counted separately; further ones are counted together."""

T = TypeVar("T")


class LogLimit(Generic[T]):
    """``now`` is in seconds, of one clock that does not go backwards; ``item`` is what belongs to a text."""

    def __init__(self) -> None:
        self._written: deque[float] = deque(maxlen=LINES)
        self._withheld: dict[str, tuple[T, int]] = {}
        self._others = 0
        self._summary_at = 0.0

    def admit(self, now: float, text: str, item: T) -> bool:
        """Whether ``text`` may be written now; otherwise it is counted."""
        if text not in self._withheld and (len(self._written) < LINES or now - self._written[0] >= SPAN):
            self._written.append(now)
            return True
        self._summary_at = self._summary_at or now + SPAN
        if text in self._withheld or len(self._withheld) < KEPT:
            first, times = self._withheld.get(text, (item, 0))
            self._withheld[text] = first, times + 1
        else:
            self._others += 1
        return False

    def due(self, now: float, *, ending: bool = False) -> list[tuple[T | None, str]]:
        """The lines about withheld ones that are to be written now, oldest first; ``ending``: no later call follows.

        Each with its first item; the line about all others has None.
        """
        if not self._summary_at or (now < self._summary_at and not ending):
            return []
        room = SUMMARIES - 1 if ending or self._others else SUMMARIES
        texts = list(self._withheld)[:room]
        lines: list[tuple[T | None, str]] = []
        for text in texts:
            item, times = self._withheld.pop(text)
            lines.append((item, text if times == 1 else f"{text} ... {times:,} times"))
        if ending:
            self._others += sum(times for _, times in self._withheld.values())
            self._withheld.clear()
        if self._others:
            lines.append((None, f"{self._others:,} other lines in this time"))
            self._others = 0
        self._summary_at = now + SPAN if self._withheld else 0.0
        return lines
