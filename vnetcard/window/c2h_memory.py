"""``?c2h=KIND:PLACE``: the c2h rings of a window in a BAR are in a second memory, that of their consumer, the host.

A read across PCIe takes 1 to 2 us, a write is posted.  So each ring belongs in the memory of its consumer: those of h2c
are in the card's memory, behind the BAR, those of c2h in the host's.  The card reaches the latter through an outbound
window of its bridge.  Both processes map the second memory behind the first, and so offsets from ``window_bytes`` on
are in it.

    host: pci:auto?c2h=udmabuf:udmabuf0           card: mem:vnetcard?c2h=mem:0xa0000000
            |                |                            |                  |
           BAR         contiguous memory          memory behind the BAR   outbound window
            +----------------|------- the same -----------+                  |
                             +--------------- the same ----------------------+

The host writes a mark into the first page of the second memory; the card runs only if it reads that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowNotReady
from vnetcard.hw.mapping import Device
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

KINDS: Final = ("mem", "udmabuf", "uio")
OPTION: Final = "c2h="


def with_c2h_memory(device: Device, options: Mapping[str, str], size: int | None, system: System) -> Device:
    """``device``, beside it the memory that the option c2h names; ``size`` is that of the window, None: the device's.

    Raises ConfigError for an invalid URL, and what the window kind raises if there is no such memory.
    """
    from vnetcard.window import WindowUrl, locate  # only here: that package imports the kinds, and they import this

    text = options.get("c2h")
    if text is None:
        return device
    kind, _, place = text.partition(":")
    if kind not in KINDS or not place or "?" in place:
        raise ConfigError(
            f"window {device.url}: invalid c2h={text}: write c2h=KIND:PLACE, KIND one of {', '.join(KINDS)}",
            code=ErrorCode.BAD_URL,
        )
    url = replace(WindowUrl.parse(text), size=min(size or device.size, device.size))
    return replace(device, beside=locate(url, system))


class C2hMark:
    """The first word of the second memory, which says for which window it is."""

    def __init__(self, memory: Memory, side: int, geometry: Geometry) -> None:
        self._memory, self._side, self._at = memory, side, geometry.window_bytes
        self._mark = geometry.checksum << 32 | geometry.instance

    def meet(self, beside: Device) -> None:
        """For the host: write the mark; for the card: WindowNotReady if it is not there."""
        if self._side == L.HOST:
            self._memory.store64(self._at, self._mark)
        elif problem := self.problem(beside):
            raise WindowNotReady(problem)

    def problem(self, beside: Device) -> str | None:
        """Why the card does not reach the host's memory, or None; for the host: None, the mark is written again."""
        if self._memory.load64(self._at) == self._mark:
            return None
        if self._side == L.HOST:
            self._memory.store64(self._at, self._mark)
            return None
        return (
            f"{beside.url}: {beside.what} does not show what the host writes into the memory of its c2h rings: does "
            "the host's agent run, and does the bridge's outbound window lead to that memory?"
        )
