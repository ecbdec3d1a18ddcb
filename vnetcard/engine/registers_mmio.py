"""The register page of a DMA engine on a board: the start of a BAR or of a UIO map, mapped; or XDMA's (userpage.py)."""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Final

from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters
from vnetcard.engine.registers_xdma import XdmaUserPage
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.pci_config import is_bus_master, set_bus_master
from vnetcard.ring.geometry import human
from vnetcard.window.device import Device, Mapping

KINDS = {"pci": "vnetcard.window.pci", "uio": "vnetcard.window.uio"}
_ARM: Final = struct.pack("=I", 1)
"""What UIO takes as "interrupt again"."""


def open_page(url: str) -> MmioPage | XdmaUserPage:
    """The registers at ``url``: ``uio:NAME[/MAP]``, ``pci:BDF/BAR`` or ``xdma:N[@OFFSET]``; raises as their class."""
    kind, _, place = url.partition(":")
    if not place or kind not in (*KINDS, "xdma"):
        raise ConfigError(
            f"engine={url} is not understood: write engine=uio:NAME[/MAP], engine=pci:BDF/BAR or engine=xdma:N[@OFFSET]"
        )
    return XdmaUserPage(url) if kind == "xdma" else MmioPage(url)


class MmioPage:
    """The registers at ``url``, ``uio:`` or ``pci:``; they are used by whoever has the window."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError (the URL, too small), WindowUnavailable (not there, no permission, all ones)."""
        kind, _, place = url.partition(":")
        device: Device = import_module(KINDS[kind]).device_at(place)
        try:
            if device.size < R.PAGE_BYTES:
                raise ConfigError(
                    f"engine={url}: {device.what} has {human(device.size)}, an engine's page {human(R.PAGE_BYTES)}"
                )
            self._mapping = Mapping(replace(device, size=R.PAGE_BYTES))
        except BaseException:
            device.release()
            raise
        self._device: Device | None = device
        self._config = -1
        if kind == "pci":
            self._let_master(device, url)
        self.url, self.file, self.lost = url, Path(device.file), device.lost
        self.registers = MappedRegisters(self._mapping.memory)

    def _let_master(self, device: Device, url: str) -> None:
        """An engine in a card moves data by itself: its function must be a bus master, and again not when we leave."""
        path = device.file.parent / "config"
        try:
            with path.open("rb", buffering=0) as config:
                if is_bus_master(config.fileno()):
                    return
            self._config = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            set_bus_master(self._config)
        except OSError as error:
            self.close()
            raise WindowUnavailable(
                f"engine={url}: {path} cannot be written ({error.strerror}), and its function is no bus master, which "
                f"an engine must be: run as root, or let root do `setpci -s {device.file.parent.name} COMMAND=4:4`"
            ) from error

    def interrupt(self, text: str) -> tuple[Path, bytes]:
        """The device that tells of interrupts, and what arms it."""
        if text or not self.url.startswith("uio:"):
            raise ConfigError(f"engine={self.url}: irq listens to the engine's UIO device, which has one interrupt")
        return self.file, _ARM

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Twice is once."""
        if self._config >= 0:
            with contextlib.suppress(OSError):  # the device may be gone
                set_bus_master(self._config, on=False)
            os.close(self._config)
            self._config = -1
        if self._device is not None:
            self._mapping.close()
            self._device.release()
            self._device = None
