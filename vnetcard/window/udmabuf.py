"""``udmabuf:NAME[?OPTIONS][+SIZE]``: contiguous memory of the driver u-dma-buf, which a DMA core can reach.

Alone it is device memory as any other (``device.py``).  With ``engine=uio:NAME[/MAP]``, ``engine=pci:BDF/BAR`` or
``engine=xdma:N[@OFFSET]`` it is this side's own window, and the DMA engine whose registers are there moves data
between it and the peer's; ``irq`` listens to that UIO device's interrupt, ``irq=K`` to XDMA's user interrupt K.
``format``: lay a window out whatever the memory holds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.engine.dma import Wakeups
from vnetcard.engine.registers_mmio import function_of_page, open_page
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import udmabuf
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device
from vnetcard.window.engine_window import EngineWindow

OPTIONS: Final = ("engine", "format", "irq", "wakeup")
WAKEUP: Final = {"on": Wakeups.SLEEPING, "off": Wakeups.ALWAYS}


@dataclass(frozen=True, slots=True)
class Place:
    """A place taken apart; ``engine`` is a URL, ``irq`` the text behind ``irq=`` ('' for ``irq`` alone), or None.

    ``wakeups`` is meaningful with ``irq`` only.
    """

    url: str
    name: str
    engine: str | None
    irq: str | None
    wakeups: Wakeups
    any_content: bool

    @classmethod
    def parse(cls, place: str) -> Place:
        """Raises ConfigError for unknown options and for combinations that exclude each other."""
        url = f"udmabuf:{place}"
        name, _, text = place.partition("?")
        options = dict(option.partition("=")[::2] for option in text.split("&") if option)
        for option in options:
            if option not in OPTIONS:
                raise ConfigError(
                    f"window {url}: there is no option {option!r}; known are {', '.join(OPTIONS)}",
                    code=ErrorCode.BAD_URL,
                )
        engine = options.get("engine")
        if "irq" in options and not (engine or "").startswith(("uio:", "xdma:")):
            raise ConfigError(
                f"window {url}: irq listens to the engine's UIO device or to XDMA's events: it needs engine=uio:NAME "
                "or engine=xdma:N",
                code=ErrorCode.BAD_URL,
            )
        wakeup = options.get("wakeup", "on")
        if wakeup not in WAKEUP or ("wakeup" in options and "irq" not in options):
            raise ConfigError(
                f"window {url}: write wakeup=on or wakeup=off, beside irq: off makes each index interrupt, for a "
                "bridge whose reads overtake writes",
                code=ErrorCode.BAD_URL,
            )
        return cls(url, name, engine, options.get("irq"), WAKEUP[wakeup], "format" in options)


def open_window(request: Request) -> DeviceWindow | EngineWindow:
    """Open this side's window; see ``vnetcard.window.open_window``."""
    place = Place.parse(request.place)
    system = System.here()
    device = locate(request.place, request.size, system)
    if place.engine is None:
        return open_device(device, request, any_content=place.any_content)
    request.want_one_pair(place.url, "the engine moves no more")
    with contextlib.ExitStack() as opened:
        page = open_page(place.engine)
        opened.callback(page.close)
        window = open_device(device, request, any_content=place.any_content, one_sided=True)
        opened.callback(window.close)
        buffer = udmabuf.choose(system, place.name, place.url)
        base = udmabuf.known_number(buffer, "phys_addr", buffer.address, place.url)
        whole = EngineWindow(window, page, request.side, base)
        if place.irq is not None:
            source, unmask = page.interrupt(place.irq)
            whole.listen(source, unmask=unmask, wakeups=place.wakeups)
        opened.pop_all()
        return whole


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the memory's first bytes."""
    return read_device(locate(place, None, System.here()), limit, any_content=Place.parse(place).any_content)


def locate(place: str, size: int | None, system: System) -> Device:
    """The buffer that ``place`` names, which its engine can reach; opens nothing."""
    del size
    parsed = Place.parse(place)
    buffer = udmabuf.choose(system, parsed.name, parsed.url)
    if parsed.engine is not None:
        function = function_of_page(system, parsed.engine)
        if problem := udmabuf.iommu_problem(system, buffer, function):
            raise WindowUnavailable(f"{parsed.url}: {problem}", code=ErrorCode.IOMMU)
    return udmabuf.device_of(buffer, parsed.url)
