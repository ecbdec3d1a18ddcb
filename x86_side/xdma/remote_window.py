"""The window in a card's memory that the host accesses by DMA transfers only: found there, or laid out.

The rules are those of ``window/device.py``: the host lays out the window; a window of the wanted shape is reused;
memory with other content is refused; a window that a running card uses is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from vnetcard.errors import LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, speaks_our_format
from vnetcard.window.device import LISTEN
from vnetcard.x86_side.xdma.channel import CardMemory, DeviceGone

GONE: Final = b"\xff" * L.LINE
LAYOUT_BYTES: Final = L.LINE * (1 + L.QUEUES_MAX)
"""Bytes of the superblock and the descriptors, which change only when the window is laid out again."""
_BEAT_AT: Final = L.side_offset(L.CARD) + L.SIDE_CONTROL.offset("heartbeat")


class RemoteWindow:
    """The window in ``card`` with the geometry ``wanted``; with ``format_any`` other content is overwritten."""

    def __init__(
        self, card: CardMemory, wanted: Geometry, *, clock: Callable[[], float], format_any: bool = False
    ) -> None:
        self._card, self._clock = card, clock
        self._wanted = replace(wanted, removable=False)
        self._format_any = format_any
        self._listening: tuple[int, float] | None = None
        self._layout = b""

    def ready(self) -> bool:
        """Find or lay out the window; False: call again, since a running card may use another window there.

        Raises LayoutMismatch, TransferFailed or DeviceGone.
        """
        header = self.read()
        if header[:8] == bytes(8):
            self._lay_out()
            return True
        try:
            found = Geometry.decode(header, self._card.size)
            if found.rings == self._wanted.rings:
                self._layout, self._listening = header[:LAYOUT_BYTES], None
                return True
            wrong = f"the card's window has {found.describe()}, this side's {self._wanted.describe()}"
        except LayoutMismatch as error:
            wrong = str(error)
            if not speaks_our_format(header) and not self._format_any:
                raise LayoutMismatch(
                    f"{wrong}. If the card's memory holds nothing that is needed, add the option ?format once"
                ) from None
        if not self._card_is_stopped(header, wrong):
            return False
        self._lay_out()
        return True

    def changed(self) -> bool:
        """True if another program has laid out the window again."""
        return self.read()[:LAYOUT_BYTES] != self._layout

    def read(self) -> bytes:
        """Read the window's header; raises DeviceGone if it is all ones."""
        header = self._card.read(0, HEADER_BYTES)
        if header[: L.LINE] == GONE and not self._format_any:
            raise DeviceGone("the card's memory reads as all ones: the card is gone, in reset, or switched off")
        return header

    def _card_is_stopped(self, header: bytes, wrong: str) -> bool:
        """True once the card's heartbeat has not changed for ``LISTEN`` seconds; LayoutMismatch if it changes."""
        beat = int.from_bytes(header[_BEAT_AT : _BEAT_AT + 4], "little")
        if self._listening is None:
            self._listening = beat, self._clock()
        first, since = self._listening
        if beat != first:
            self._listening = None
            raise LayoutMismatch(f"{wrong}, and the card's agent uses it: stop that agent, or ask for the same size")
        return self._clock() - since >= LISTEN

    def _lay_out(self) -> None:
        """Clear the magic number first and write it last: a reader in between finds no window."""
        blank, plain = bytes(L.rings_offset(len(self._wanted.rings))), self._wanted.encode(magic=False)
        self._card.write(0, blank[: L.LINE])
        self._card.write(0, blank)
        self._card.write(0, plain)
        whole = self._wanted.encode()
        self._card.write(0, whole[: L.LINE])
        self._layout, self._listening = whole.ljust(LAYOUT_BYTES, b"\0"), None
