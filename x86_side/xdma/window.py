"""``xdma:N@ADDRESS[?OPTIONS][+SIZE]``: a card that has Xilinx's stock XDMA and its Linux driver; for the host.

The host's agent has a window in shared memory, and the DMA copier (``dma_copier.py``) copies between it and a second
window in the card's memory, at ADDRESS in the address space of the DMA core.  N is a number, or the prefix of the
device files (``/dev/xdma0``).  Options: ``channel=C`` selects another channel than 0, ``events=K`` waits for user
interrupt K, ``format`` lays out a window whatever the card's memory holds.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.hw import xdma
from vnetcard.hw.xdma import number, unavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, speaks_our_format
from vnetcard.terminal.sizes import human
from vnetcard.window import shm
from vnetcard.window.contract import Pulse, Request
from vnetcard.window.file_backed import BackedWindow, open_backed
from vnetcard.x86_side.xdma.channel import CardMemory, DeviceChannel, DeviceGone, TransferFailed
from vnetcard.x86_side.xdma.copier_thread import CopierThread
from vnetcard.x86_side.xdma.dma_copier import DmaCopier
from vnetcard.x86_side.xdma.in_thread import in_thread
from vnetcard.x86_side.xdma.remote_window import GONE

OPTIONS: Final = ("channel", "events", "format")


@dataclass(frozen=True, slots=True)
class Place:
    """The devices, and the window's address in the card's memory, in bytes."""

    url: str
    prefix: Path
    base: int
    channel: int
    events: int | None
    format_any: bool

    @classmethod
    def parse(cls, place: str) -> Place:
        """Parse the part of the URL after ``xdma:``; raises ConfigError."""
        url = f"xdma:{place}"
        bare, _, text = place.partition("?")
        device, at, address = bare.rpartition("@")
        if not at or not device:
            raise ConfigError(
                f"invalid window URL {url!r}: expected xdma:N@ADDRESS+SIZE with ADDRESS in the address space of the "
                "DMA core, such as xdma:0@0x80000000+8M"
            )
        base = number(address, f"window {url}")
        if base % L.RING_ALIGN:
            raise ConfigError(f"window {url}: ADDRESS {address} is not a multiple of 4 KiB")
        options = dict(option.partition("=")[::2] for option in text.split("&") if option)
        for option in options:
            if option not in OPTIONS:
                raise ConfigError(f"window {url}: no option {option!r} (known: {', '.join(OPTIONS)})")
        return cls(
            url,
            xdma.prefix(device, f"window {url}"),
            base,
            number(options.get("channel", "0"), f"window {url}"),
            number(options["events"], f"window {url}") if "events" in options else None,
            "format" in options,
        )

    def device(self, what: str) -> Path:
        """``/dev/xdma0_h2c_0``."""
        return xdma.device(self.prefix, what)

    @property
    def memory_name(self) -> str:
        """Name of the shared memory object of the host's window, one per place in a card's memory."""
        return f"vnetcard-xdma-{str(self.prefix).strip('/').replace('/', '-')}-{self.base:x}"


class XdmaWindow:
    """The host's window and its DMA copier; see ``vnetcard.window.Window`` for the contract."""

    def __init__(
        self, place: Place, window: BackedWindow, to_card: DeviceChannel, from_card: DeviceChannel, pulse: Pulse
    ) -> None:
        self._window, self._channels = window, (to_card, from_card)
        self._spans = window.spans()
        self._open = True
        self.url, self.memory, self.geometry, self.notes = place.url, window.memory, window.geometry, window.notes
        self.futex_wake = True
        self.interrupts = None
        size = window.geometry.window_bytes
        self._copier = DmaCopier(
            window.memory,
            self._spans,
            window.geometry,
            CardMemory(to_card, from_card, base=place.base, size=size),
            format_any=place.format_any,
            wake=window.memory.wake32,
        )
        what = f"DMA copier over {place.device(f'*_{place.channel}')}, {human(size)} at {place.base:#x}"
        events = place.device(f"events_{place.events}") if place.events is not None else None
        try:
            self.engine = CopierThread(self._copier, what, events=events, lost=self._lost, pulse=pulse)
        except OSError as error:
            self._spans.release()
            raise unavailable(place.url, events or place.prefix, error) from error

    def _lost(self) -> str | None:
        return next(filter(None, (channel.vanished() for channel in self._channels)), None)

    def vanished(self) -> str | None:
        return self._copier.gone or self._window.vanished() or self._lost()

    def close(self) -> None:
        """As the contract says; while a transfer hangs, its memory stays mapped and its devices open until it ends."""
        if not self._open:
            return
        self._open = False
        if self.engine.close():
            self._release()
        else:
            threading.Thread(target=self._release_later, name="vnetcard release", daemon=True).start()

    def _release_later(self) -> None:
        """The driver gives the device's number to no other while it is open, so the link could not come back."""
        self.engine.join()
        self.engine.close()
        self._release()

    def _release(self) -> None:
        self._spans.release()
        self._window.close()
        for channel in self._channels:
            channel.close()


def open_window(request: Request) -> XdmaWindow:
    """Open the host's side; see ``vnetcard.window.open_window``."""
    place = Place.parse(request.place)
    if request.side != L.HOST:
        raise ConfigError(
            f"window {place.url} is for the host: the card's agent opens its own memory, such as mem:ADDRESS+SIZE"
        )
    request.want_one_pair(place.url, "the DMA copier copies one")
    request = replace(request, size=request.size or L.WINDOW_DEFAULT)
    with contextlib.ExitStack() as opened:
        to_card = _open(opened, place, "h2c", to_card=True)
        from_card = _open(opened, place, "c2h", to_card=False)
        window = open_backed(shm.opener(place.memory_name, place.url), request)
        opened.callback(window.close)
        card = CardMemory(to_card, from_card, base=place.base, size=request.size or 0)
        in_thread(lambda: _check(place, card), request.pulse, card.waits)
        whole = XdmaWindow(place, window, to_card, from_card, request.pulse)
        opened.pop_all()
        return whole


def _open(opened: contextlib.ExitStack, place: Place, direction: str, *, to_card: bool) -> DeviceChannel:
    path = place.device(f"{direction}_{place.channel}")
    try:
        channel = DeviceChannel(path, to_card=to_card)
    except OSError as error:
        raise unavailable(place.url, path, error) from error
    opened.callback(channel.close)
    return channel


def _check(place: Place, card: CardMemory) -> None:
    """Check that the address is memory that may hold a window; the copier checks again, but can only log it."""
    try:
        card.read(card.size - L.LINE, L.LINE)
        header = card.read(0, HEADER_BYTES)
    except DeviceGone as error:
        raise WindowUnavailable(f"{place.url}: {error}") from error
    except TransferFailed as error:
        raise WindowUnavailable(
            f"{place.url}: no memory of {human(card.size)} at this address: {error}; see the card's address map"
        ) from error
    if place.format_any or header[:8] == bytes(8) or speaks_our_format(header):
        return
    if header[: L.LINE] == GONE:
        raise WindowUnavailable(f"{place.url}: the card's memory reads as all ones: the card is gone, or in reset")
    raise LayoutMismatch(
        f"{place.url}: no vnetcard window here: its first word is {int.from_bytes(header[:8], 'little'):#018x}. If the "
        "card's memory holds nothing that is needed, add the option ?format once"
    )


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the window's first ``limit`` bytes (default: all), read over the DMA channel."""
    where = Place.parse(place)
    with contextlib.ExitStack() as opened:
        from_card = _open(opened, where, "c2h", to_card=False)
        card = CardMemory(from_card, from_card, base=where.base, size=L.WINDOW_MAX)
        try:
            header = card.read(0, HEADER_BYTES)
            with contextlib.suppress(LayoutMismatch):
                return card.read(0, limit or Geometry.decode(header, L.WINDOW_MAX).window_bytes)
            return header
        except (TransferFailed, DeviceGone) as error:
            raise WindowUnavailable(f"{where.url}: {error}") from error
