"""The register page of a DMA engine on a board: the start of a BAR or of a UIO map, mapped."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from vnetcard import registers as R
from vnetcard.dma import MappedRegisters
from vnetcard.errors import ConfigError
from vnetcard.geometry import human
from vnetcard.window.device import Device, Mapping

KINDS = {"pci": "vnetcard.window.pci", "uio": "vnetcard.window.uio"}


class EnginePage:
    """The registers at ``url`` (``uio:NAME[/MAP]``, ``pci:BDF/BAR``); they are used by whoever has the window."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError (the URL, too small), WindowUnavailable (not there, no permission, all ones)."""
        kind, colon, place = url.partition(":")
        if not colon or kind not in KINDS or not place:
            raise ConfigError(f"engine={url} is not understood: write engine=uio:NAME[/MAP] or engine=pci:BDF/BAR")
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
        self.url, self.file, self.lost = url, Path(device.file), device.lost
        self.registers = MappedRegisters(self._mapping.memory)

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Twice is once."""
        if self._device is not None:
            self._mapping.close()
            self._device.release()
            self._device = None
