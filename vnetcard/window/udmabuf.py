"""``udmabuf:NAME[?OPTIONS][+SIZE]``: contiguous memory of the driver u-dma-buf, which a DMA core can reach.

Alone it is device memory as any other (``device.py``).  With ``engine=uio:NAME[/MAP]``, ``engine=pci:BDF/BAR`` or
``engine=xdma:N[@OFFSET]`` it is this side's own window, and the DMA engine whose registers are there carries between it
and the peer's; ``irq`` listens to that UIO device's interrupt, ``irq=K`` to XDMA's user interrupt K.  ``format``: lay a
window out whatever the memory holds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.engine.registers_mmio import open_page
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, system
from vnetcard.window.engine_window import EngineWindow

OPTIONS: Final = ("engine", "format", "irq")
CACHED: Final = ("0", "4")
"""The driver's ``sync_mode`` in which it maps the memory cached, whatever it is asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place taken apart; ``engine`` is a URL, ``irq`` what stands behind ``irq=``, '' for nothing, or None."""

    url: str
    name: str
    engine: str | None
    irq: str | None
    format_any: bool

    @classmethod
    def parse(cls, place: str) -> Place:
        """ConfigError for options that are not known or not possible together."""
        url = f"udmabuf:{place}"
        name, _, text = place.partition("?")
        options = dict(option.partition("=")[::2] for option in text.split("&") if option)
        for option in options:
            if option not in OPTIONS:
                raise ConfigError(f"window {url}: there is no option {option!r}; known are {', '.join(OPTIONS)}")
        engine = options.get("engine")
        if "irq" in options and not (engine or "").startswith(("uio:", "xdma:")):
            raise ConfigError(
                f"window {url}: irq listens to the engine's UIO device or to XDMA's events: it needs engine=uio:NAME "
                "or engine=xdma:N"
            )
        return cls(url, name, engine, options.get("irq"), "format" in options)


def open_window(request: Request) -> DeviceWindow | EngineWindow:
    """Open this side's window; see ``vnetcard.window.open_window``."""
    place = Place.parse(request.place)
    device = _device(place)
    if place.engine is None:
        return open_device(device, request)
    request.want_one_pair(place.url, "the engine moves no more")
    with contextlib.ExitStack() as opened:
        page = open_page(place.engine)
        opened.callback(page.close)
        window = open_device(device, request)
        opened.callback(window.close)
        whole = EngineWindow(window, page, request.side, _physical(place))
        if place.irq is not None:
            source, arm = page.interrupt(place.irq)
            whole.listen(source, arm=arm)
        opened.pop_all()
        return whole


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes."""
    return read_device(_device(Place.parse(place)), limit)


def _folder(place: Place) -> Path:
    root = system("/sys/class/u-dma-buf")
    names = sorted(path.name for path in root.glob("*"))
    if place.name not in names:
        there = ", ".join(names) or "none: is the driver u-dma-buf loaded?"
        raise WindowUnavailable(f"{place.url}: there is no u-dma-buf {place.name!r}; there is {there}")
    return root / place.name


def _device(place: Place) -> Device:
    folder = _folder(place)
    coherent = _text(folder / "dma_coherent", "0") == "1"
    mode = _text(folder / "sync_mode", "1")
    if not coherent and mode in CACHED:
        raise WindowUnavailable(
            f"{place.url}: sync_mode {mode} maps it cached, but its DMA does not keep to the caches: "
            f"`echo 1 > {folder / 'sync_mode'}`"
        )
    file = system("/dev") / place.name
    return Device(
        url=place.url,
        what=f"u-dma-buf {place.name}",
        file=file,
        size=_number(place, folder / "size"),
        lock=file,
        format_any=place.format_any,
        coherent=coherent,
        own=place.engine is not None,
        hint="is it large enough, and the driver's?",
        lost=lambda: None if folder.exists() else f"u-dma-buf {place.name} is gone",
    )


def _physical(place: Place) -> int:
    return _number(place, _folder(place) / "phys_addr")


def _number(place: Place, file: Path) -> int:
    text = _text(file, "")
    with contextlib.suppress(ValueError):
        return int(text, 0)
    raise WindowUnavailable(f"{place.url}: {file} holds no number but {text!r}")


def _text(file: Path, default: str) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return default
