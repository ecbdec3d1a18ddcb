"""The superblock of an open window: written again when another program has overwritten it.

Both sides read it when they open the window, and then run on what they have read; so a damaged superblock disturbs
nothing but the next start of an agent, and either side can restore it from its copy
(docs/adr/0019-a-window-that-is-overwritten.md).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from vnetcard._core import Memory
from vnetcard.errors import LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.ring.sideblock import SideBlock

WAITS: Final = (0.4, 1.2)
"""Seconds for which the superblock stays overwritten before the host restores it, and, if it does not, the card."""
PAUSE, PAUSE_MAX, QUIET = 0.5, 5.0, 10.0
"""Seconds between two restorations: doubled each time up to the second value, and the first again after the third."""
RESTORE_LIMIT: Final = PAUSE_MAX + WAITS[1] + 1.0
"""Seconds within which a running agent has restored the superblock: so long an agent that starts waits for it."""


class Superblock:
    """What this side runs on; ``check`` is called about twice a second.

    ``sole``: no other process lays this memory out, so whatever else is there is damage.
    """

    def __init__(
        self,
        memory: Memory,
        side: int,
        geometry: Geometry,
        read: Callable[[int], bytes] | None = None,
        *,
        sole: bool = False,
    ) -> None:
        self._memory, self._side, self._sole = memory, side, sole
        self._geometry = geometry
        self._read = read or (lambda count: memory.read(0, count))
        self._bytes = self._read(len(geometry.encode()))
        if self._decode() != geometry:  # overwritten already
            self._bytes = geometry.encode()
        self._overwritten_at: float | None = None
        self._pause, self._restored_at = PAUSE, -QUIET
        self._restored = ""

    def check(self) -> bool:
        """Restore the superblock if it was overwritten; False: the peer has laid the window out again.

        Then the superblock is another valid one, and the peer runs on it, or is of a version that does not say.
        """
        there = self._read(len(self._bytes))
        if there == self._bytes:
            self._overwritten_at = None
            return True
        other = self._decode()
        if other is not None and not self._sole and self._peer_runs_on(other):
            return False
        now = monotonic()
        if self._overwritten_at is None:
            self._overwritten_at = now
        if now - self._overwritten_at < WAITS[self._side] or now - self._restored_at < self._pause:
            return True
        self._restore(now, "another layout" if other is not None else f"{there[:8].hex(' ')} ...")
        return True

    def restored(self) -> str:
        """What was restored since the last call, in words, or ''."""
        words, self._restored = self._restored, ""
        return words

    def _decode(self) -> Geometry | None:
        try:
            size, beside = self._geometry.window_bytes, self._geometry.c2h_beside
            return Geometry.decode(self._read(HEADER_BYTES), size, c2h_beside=beside)
        except LayoutMismatch:
            return None

    def _peer_runs_on(self, other: Geometry) -> bool:
        peer = SideBlock(self._memory, 1 - self._side)
        layout = peer.load("layout")
        return layout == other.checksum or (not layout and peer.load("epoch") != 0)

    def _restore(self, now: float, found: str) -> None:
        quiet = now - self._restored_at > self._pause + QUIET
        self._pause = PAUSE if quiet else min(2 * self._pause, PAUSE_MAX)
        self._restored_at, self._overwritten_at = now, None
        self._memory.store64(0, 0)
        self._memory.write(0, bytes(8) + self._bytes[8:])
        self._memory.store64(0, L.MAGIC)
        self._restored = f"another program overwrote the superblock with {found}: written again"
