"""Buffers of the driver u-dma-buf: contiguous memory that a device can reach, as sysfs shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.hw.mapping import Device
from vnetcard.hw.pci import Function
from vnetcard.hw.sysfs import System, entries, number, text

CLASSES: Final = ("u-dma-buf", "udmabuf")
"""Device classes of the driver: since its version 2, and before."""
CACHED: Final = ("0", "4")
"""Values of the driver's ``sync_mode`` that map the memory cached, whatever ``open`` asks for."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A buffer; numbers are None where sysfs has none.  ``address`` is the bus address for the device that it is for.

    ``bound`` is the PCI function that it was made for (the driver's ``bind=pci/BDF``), or '': the class device is below
    that function in sysfs, and its link ``device`` leads to it.  ``version`` is the driver's, ``quirk_mmap`` its
    ``quirk_mmap_mode``; '' where sysfs has none.
    """

    path: Path
    node: Path
    size: int | None
    address: int | None
    sync_mode: str
    coherent: bool
    bound: str
    version: str = ""
    quirk_mmap: str = ""

    @property
    def name(self) -> str:
        """``udmabuf0``."""
        return self.path.name

    @property
    def usable(self) -> bool:
        """False: it is mapped cached while the device's DMA does not see the caches."""
        return self.coherent or self.sync_mode not in CACHED

    def lost(self) -> str | None:
        """Why it is no longer present, or None."""
        return None if self.path.exists() else f"u-dma-buf {self.name} is gone"


def buffers(system: System) -> list[Buffer]:
    """Every buffer of the machine, by name."""
    return [_buffer(system, path) for name in CLASSES for path in entries(system.sys / "class" / name)]


def _buffer(system: System, path: Path) -> Buffer:
    parent = path / "device"
    bound = parent.resolve().name if parent.is_symlink() else ""
    return Buffer(
        path,
        system.dev / path.name,
        number(path / "size"),
        number(path / "phys_addr"),
        text(path / "sync_mode") or "1",
        text(path / "dma_coherent") == "1",
        bound if bound and (system.sys / "bus/pci/devices" / bound).exists() else "",
        text(path / "driver_version") or "",
        text(path / "quirk_mmap_mode") or "",
    )


def choose(system: System, name: str, url: str) -> Buffer:
    """The buffer ``name``; WindowUnavailable: missing, cached though its DMA is not coherent, or without a size."""
    there = buffers(system)
    buffer = next((one for one in there if one.name == name), None)
    if buffer is None:
        names = ", ".join(one.name for one in there) or "none: is the driver u-dma-buf loaded?"
        raise WindowUnavailable(f"{url}: no u-dma-buf {name!r} (found: {names})", code=ErrorCode.WINDOW_MISSING)
    if not buffer.usable:
        raise WindowUnavailable(
            f"{url}: sync_mode {buffer.sync_mode} maps it cached, but its DMA does not keep to the caches: "
            f"`echo 1 > {buffer.path / 'sync_mode'}`",
            code=ErrorCode.WINDOW_UNMAPPABLE,
        )
    if problem := map_problem(system, buffer):
        raise WindowUnavailable(f"{url}: {problem}", code=ErrorCode.WINDOW_UNMAPPABLE)
    known_number(buffer, "size", buffer.size, url)
    return buffer


def known_number(buffer: Buffer, attribute: str, value: int | None, url: str) -> int:
    """``value`` of the sysfs ``attribute``; WindowUnavailable if the file holds no number."""
    if value is not None:
        return value
    file = buffer.path / attribute
    raise WindowUnavailable(f"{url}: {file} holds no number but {text(file) or ''!r}", code=ErrorCode.DEVICE_BROKEN)


def device_of(buffer: Buffer, url: str) -> Device:
    """``buffer`` as device memory."""
    return Device(
        url=url,
        what=f"u-dma-buf {buffer.name}",
        file=buffer.node,
        size=known_number(buffer, "size", buffer.size, url),
        lock=buffer.node,
        coherent=buffer.coherent,
        hint="is it large enough, and the driver's?",
        lost=buffer.lost,
    )


BROKEN_VERSION: Final = "5.5."
"""It marks every map as one of bare page frames, on which the kernel's code for an IOMMU's pages stops: ``kernel BUG``
in vm_insert_page (seen with 5.5.0 on Linux 6.1; 5.4.2 maps the same buffer)."""
BLIND_MODE: Final = "2"
"""The ``quirk_mmap_mode`` that maps the buffer's bus address as if it were a physical one."""


def map_problem(system: System, buffer: Buffer) -> str | None:
    """Why ``buffer`` must not be mapped, or None: its memory is behind an IOMMU, with which the driver cannot cope."""
    if not buffer.bound or not _translated(system.sys / "bus/pci/devices" / buffer.bound):
        return None
    where = f"an IOMMU translates for {buffer.bound}, to which {buffer.name} is bound"
    if buffer.version.startswith(BROKEN_VERSION):
        return f"{where}: to map it with u-dma-buf {buffer.version} stops the kernel (BUG): use version 5.4.2"
    if buffer.quirk_mmap == BLIND_MODE:
        return f"{where}: quirk_mmap_mode 2 maps other memory: load u-dma-buf with quirk_mmap_mode=1"
    return None


def _translated(function: Path) -> bool:
    """Does an IOMMU translate the DMA of the PCI function?"""
    group = function / "iommu_group"
    return group.exists() and text(group.resolve() / "type") != "identity"


def iommu_problem(system: System, buffer: Buffer, function: Function | None) -> str | None:
    """Why the PCI ``function`` cannot reach ``buffer`` at its address, or None.

    A buffer that is not bound to a device has a bare physical address.  An IOMMU that translates the function's DMA
    maps only buffers that were made for it (``bind=pci/BDF``), whose address is then that of the IOMMU.
    """
    if function is None or buffer.bound == function.address:
        return None
    if buffer.bound:
        return f"{buffer.name} is bound to {buffer.bound}, not to {function.address}"
    if not _translated(function.path):
        return None
    return (
        f"an IOMMU translates the DMA of {function.address}, and {buffer.name} is not bound to it: load u-dma-buf with "
        f"{buffer.name}=SIZE bind=pci/{function.address}"
    )
