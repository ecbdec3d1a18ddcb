"""The register page of a DMA engine on a board: the start of a BAR or of a UIO map, mapped, or behind Xilinx's XDMA."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters
from vnetcard.engine.registers_xdma import XdmaUserPage, xdma_function
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import pci, uio
from vnetcard.hw.mapping import Device, Mapping
from vnetcard.hw.pci_config import is_bus_master, set_bus_master
from vnetcard.hw.sysfs import System
from vnetcard.terminal.sizes import human


def open_page(url: str) -> MmioPage | XdmaUserPage:
    """The registers at ``url``: ``uio:NAME[/MAP]``, ``pci:BDF/BAR`` or ``xdma:N[@OFFSET]``; raises as their class."""
    kind, _, place = url.partition(":")
    if not place or kind not in ("pci", "uio", "xdma"):
        raise ConfigError(
            f"invalid engine={url}: write engine=uio:NAME[/MAP], engine=pci:BDF/BAR or engine=xdma:N[@OFFSET]",
            code=ErrorCode.BAD_URL,
        )
    return XdmaUserPage(url) if kind == "xdma" else MmioPage(url)


class MmioPage:
    """The registers at ``url``, ``uio:`` or ``pci:``.  Access is exclusive by the lock on the engine's window."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError (the URL, too small), WindowUnavailable (missing, no permission, all ones)."""
        kind, _, place = url.partition(":")
        device = _find(kind, place, url)
        try:
            if device.size < R.PAGE_BYTES:
                raise ConfigError(
                    f"engine={url}: {device.what} has {human(device.size)}, an engine's page {human(R.PAGE_BYTES)}",
                    code=ErrorCode.WINDOW_SIZE,
                )
            self._mapping = Mapping(replace(device, size=R.PAGE_BYTES))
        except BaseException:
            device.release()
            raise
        self._device: Device | None = device
        self._config = -1
        if kind == "pci":
            self._enable_mastering(device, url)
        self.url, self.file, self.lost = url, Path(device.file), device.lost
        self.registers = MappedRegisters(self._mapping.memory)

    def _enable_mastering(self, device: Device, url: str) -> None:
        """Make the engine's function a bus master, since it moves data by itself; ``close`` undoes that."""
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
                f"an engine must be: run as root, or let root do `setpci -s {device.file.parent.name} COMMAND=4:4`",
                code=ErrorCode.WINDOW_PERMISSION,
            ) from error

    def interrupt(self, text: str) -> tuple[Path, bytes]:
        """The device whose reads return interrupts, and what to write to it before each wait."""
        if text or not self.url.startswith("uio:"):
            raise ConfigError(
                f"engine={self.url}: irq listens to the engine's UIO device, which has one interrupt",
                code=ErrorCode.BAD_URL,
            )
        return self.file, uio.UNMASK

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Idempotent."""
        if self._config >= 0:
            with contextlib.suppress(OSError):  # the device may be gone
                set_bus_master(self._config, on=False)
            os.close(self._config)
            self._config = -1
        if self._device is not None:
            self._mapping.close()
            self._device.release()
            self._device = None


def function_of_page(system: System, url: str) -> pci.Function | None:
    """The PCI function that the engine at ``url`` masters the bus with; None: not a function, or unknown.

    Raises ConfigError and WindowUnavailable as ``open_page``; opens nothing.
    """
    kind, _, place = url.partition(":")
    if kind == "xdma":
        return xdma_function(system, url)
    if not place or kind not in ("pci", "uio"):
        return None
    if kind == "uio":
        return pci.function_behind(system, uio.find_map(system, place, url).file)
    return pci.function_behind(system, pci.find_bar(system, place, url, least=R.PAGE_BYTES).file)


def _find(kind: str, place: str, url: str) -> Device:
    system = System.here()
    if kind == "uio":
        return uio.find_map(system, place, url)
    return pci.enable_decoding(pci.find_bar(system, place, url, least=R.PAGE_BYTES))
