"""The window in a card's memory that the host reaches by transfers alone: found there, or laid out.

The rules are those of ``window/device.py``: the host lays out, what is as wanted is used again, what is foreign is
refused, and what a living card uses is left alone.
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
"""Superblock and descriptors: what changes only when the window is laid out anew."""
_BEAT_AT: Final = L.side_offset(L.CARD) + L.SIDE_CONTROL.offset("heartbeat")


class RemoteWindow:
    """The window of ``wanted``'s shape in ``card``; ``format_any``: whatever the memory holds now."""

    def __init__(
        self, card: CardMemory, wanted: Geometry, *, clock: Callable[[], float], format_any: bool = False
    ) -> None:
        self._card, self._clock = card, clock
        self._wanted = replace(wanted, removable=False)
        self._format_any = format_any
        self._listening: tuple[int, float] | None = None
        self._layout = b""

    def ready(self) -> bool:
        """Is it there now?  False: ask again, a card may be using what is there.

        Raises LayoutMismatch, and what a transfer raises.
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
                    f"{wrong}. If the card's memory holds nothing that is needed, say so once with the option ?format"
                ) from None
        if not self._card_is_silent(header, wrong):
            return False
        self._lay_out()
        return True

    def changed(self) -> bool:
        """Was it laid out anew, by somebody else?"""
        return self.read()[:LAYOUT_BYTES] != self._layout

    def read(self) -> bytes:
        """The window's header as it stands; DeviceGone for all ones."""
        header = self._card.read(0, HEADER_BYTES)
        if header[: L.LINE] == GONE and not self._format_any:
            raise DeviceGone("the card's memory reads as all ones: the card is gone, in reset, or switched off")
        return header

    def _card_is_silent(self, header: bytes, wrong: str) -> bool:
        """Has its heartbeat stood still for long enough?  LayoutMismatch when it moves."""
        beat = int.from_bytes(header[_BEAT_AT : _BEAT_AT + 4], "little")
        if self._listening is None:
            self._listening = beat, self._clock()
        heard, since = self._listening
        if beat != heard:
            self._listening = None
            raise LayoutMismatch(f"{wrong}, and the card's agent is using it: stop that one, or ask for the same")
        return self._clock() - since >= LISTEN

    def _lay_out(self) -> None:
        """Magic away first and back last: whoever looks meanwhile sees no window."""
        blank, plain = bytes(L.rings_offset(len(self._wanted.rings))), self._wanted.encode(magic=False)
        self._card.write(0, blank[: L.LINE])
        self._card.write(0, blank)
        self._card.write(0, plain)
        whole = self._wanted.encode()
        self._card.write(0, whole[: L.LINE])
        self._layout, self._listening = whole.ljust(LAYOUT_BYTES, b"\0"), None
