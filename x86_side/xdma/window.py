"""``xdma:N@ADDRESS[?OPTIONS][+SIZE]``: a card that has Xilinx's stock XDMA and its Linux driver; for the host.

The host's agent keeps a window of its own in shared memory, and a mover in software (``softmover.py``) carries
between it and the window in the card's memory, which lies at ADDRESS as the DMA core sees it.  N is a number, or
what the device files' names begin with (``/dev/xdma0``).  Options: ``channel=C`` takes another channel than 0,
``events=K`` listens to user interrupt K, ``format`` lays a window out whatever the card's memory holds.
"""

from __future__ import annotations

import contextlib
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
from vnetcard.window.contract import Request
from vnetcard.window.file_backed import BackedWindow, open_backed
from vnetcard.x86_side.xdma.channel import CardMemory, DeviceChannel, DeviceGone, TransferFailed
from vnetcard.x86_side.xdma.copier_thread import CopierThread
from vnetcard.x86_side.xdma.dma_copier import DmaCopier
from vnetcard.x86_side.xdma.remote_window import GONE

OPTIONS: Final = ("channel", "events", "format")


@dataclass(frozen=True, slots=True)
class Place:
    """Which devices, and where in the card's memory; sizes and addresses in bytes."""

    url: str
    prefix: Path
    base: int
    channel: int
    events: int | None
    format_any: bool

    @classmethod
    def parse(cls, place: str) -> Place:
        """ConfigError for what cannot be a place."""
        url = f"xdma:{place}"
        bare, _, text = place.partition("?")
        device, at, address = bare.rpartition("@")
        if not at or not device:
            raise ConfigError(
                f"window {url} does not say where: write xdma:N@ADDRESS+SIZE, ADDRESS being that of the card's "
                "memory as the DMA core sees it, such as xdma:0@0x80000000+8M"
            )
        base = number(address, f"window {url}")
        if base % L.RING_ALIGN:
            raise ConfigError(f"window {url}: ADDRESS {address} is not a multiple of 4 KiB")
        options = dict(option.partition("=")[::2] for option in text.split("&") if option)
        for option in options:
            if option not in OPTIONS:
                raise ConfigError(f"window {url}: there is no option {option!r}; known are {', '.join(OPTIONS)}")
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
        """The shared memory object of the host's own window: one for each place in a card's memory."""
        return f"vnetcard-xdma-{str(self.prefix).strip('/').replace('/', '-')}-{self.base:x}"


class XdmaWindow:
    """The host's window and the mover beside it; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, place: Place, window: BackedWindow, to_card: DeviceChannel, from_card: DeviceChannel) -> None:
        self._window, self._channels = window, (to_card, from_card)
        self._spans = window.spans()
        self._open = True
        self.url, self.memory, self.geometry, self.notes = place.url, window.memory, window.geometry, window.notes
        self.futex_wake = True
        self.interrupts = None
        size = window.geometry.window_bytes
        self._mover = DmaCopier(
            window.memory,
            self._spans,
            window.geometry,
            CardMemory(to_card, from_card, base=place.base, size=size),
            format_any=place.format_any,
            woken=window.memory.wake32,
        )
        what = f"software mover over {place.device(f'*_{place.channel}')}, {human(size)} at {place.base:#x}"
        events = place.device(f"events_{place.events}") if place.events is not None else None
        try:
            self.engine = CopierThread(self._mover, what, events=events, lost=self._lost)
        except OSError as error:
            self._spans.release()
            raise unavailable(place.url, events or place.prefix, error) from error

    def _lost(self) -> str | None:
        return next(filter(None, (channel.vanished() for channel in self._channels)), None)

    def vanished(self) -> str | None:
        return self._mover.gone or self._window.vanished() or self._lost()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if not self.engine.close():
            return  # it hangs in the driver, and writes where it was told once it is let go: that must stay ours
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
    request.want_one_pair(place.url, "the mover carries no more")
    request = replace(request, size=request.size or L.WINDOW_DEFAULT)
    with contextlib.ExitStack() as opened:
        to_card = _open(opened, place, "h2c", to_card=True)
        from_card = _open(opened, place, "c2h", to_card=False)
        window = open_backed(shm.opener(place.memory_name, place.url), request)
        opened.callback(window.close)
        _try(place, CardMemory(to_card, from_card, base=place.base, size=request.size or 0))
        whole = XdmaWindow(place, window, to_card, from_card)
        opened.pop_all()
        return whole


def _open(opened: contextlib.ExitStack, place: Place, way: str, *, to_card: bool) -> DeviceChannel:
    path = place.device(f"{way}_{place.channel}")
    try:
        channel = DeviceChannel(path, to_card=to_card)
    except OSError as error:
        raise unavailable(place.url, path, error) from error
    opened.callback(channel.close)
    return channel


def _try(place: Place, card: CardMemory) -> None:
    """Is there memory, and may a window be there?  The mover asks again, but says it in the log only."""
    try:
        card.read(card.size - L.LINE, L.LINE)
        header = card.read(0, HEADER_BYTES)
    except DeviceGone as error:
        raise WindowUnavailable(f"{place.url}: {error}") from error
    except TransferFailed as error:
        raise WindowUnavailable(
            f"{place.url}: there is no memory of {human(card.size)} there: {error}; see the design's address map"
        ) from error
    if place.format_any or header[:8] == bytes(8) or speaks_our_format(header):
        return
    if header[: L.LINE] == GONE:
        raise WindowUnavailable(f"{place.url}: the card's memory reads as all ones: the card is gone, or in reset")
    raise LayoutMismatch(
        f"{place.url}: no vnetcard window here: its first word is {int.from_bytes(header[:8], 'little'):#018x}. If the "
        "card's memory holds nothing that is needed, say so once with the option ?format"
    )


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the first bytes of the window in the card's memory, over the DMA channel."""
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
