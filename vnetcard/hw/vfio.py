"""The kernel's VFIO interface (include/uapi/linux/vfio.h), as far as a card needs it.

A function is opened through its group and a container (``GroupFunction``), or, since Linux 6.6, through a device of its
own and iommufd (``iommufd.py``).  The ioctls pack their structures by hand; every call raises OSError with the
kernel's number.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.hw.pci_config import set_bus_master
from vnetcard.hw.sysfs import System, entries

_BASE: Final = ord(";") << 8 | 100
"""_IO(';', 100 + n): VFIO's numbers carry neither direction nor size."""
GET_API_VERSION: Final = _BASE + 0
CHECK_EXTENSION: Final = _BASE + 1
SET_IOMMU: Final = _BASE + 2
GROUP_GET_STATUS: Final = _BASE + 3
GROUP_SET_CONTAINER: Final = _BASE + 4
GROUP_GET_DEVICE_FD: Final = _BASE + 6
DEVICE_GET_REGION_INFO: Final = _BASE + 8
DEVICE_GET_IRQ_INFO: Final = _BASE + 9
DEVICE_SET_IRQS: Final = _BASE + 10
IOMMU_MAP_DMA: Final = _BASE + 13

API_VERSION: Final = 0
TYPE1_IOMMUS: Final = (3, 1)
"""Type 1 version 2, and version 1: what x86 and ARM64 have; the better one first."""
GROUP_VIABLE: Final = 1
REGION_MMAP: Final = 4
CONFIG_REGION: Final = 7
MSI: Final = 1
MSIX: Final = 2
"""Indices of a PCI function's kinds of interrupts."""
IRQ_DATA_NONE: Final = 1 << 0
IRQ_DATA_EVENTFD: Final = 1 << 2
IRQ_ACTION_TRIGGER: Final = 1 << 5

GROUP_STATUS: Final = struct.Struct("=II")
REGION_INFO: Final = struct.Struct("=IIIIQQ")
IRQ_INFO: Final = struct.Struct("=IIII")
DMA_MAP: Final = struct.Struct("=IIQQQ")
DMA_READ_WRITE: Final = 1 | 2
IRQ_SET: Final = struct.Struct("=IIIII")


@dataclass(frozen=True, slots=True)
class Region:
    """A BAR or the configuration: where it lies in the device's file, both in bytes."""

    size: int
    offset: int
    can_map: bool


def ioctl(fd: int, number: int, packed: bytes) -> bytes:
    """An ioctl on a structure; returns the structure as the kernel leaves it."""
    buffer = bytearray(packed)
    fcntl.ioctl(fd, number, buffer, True)
    return bytes(buffer)


def pack_irq_set(index: int, eventfds: list[int]) -> bytes:
    """``struct vfio_irq_set`` that lets the vectors from 0 on signal ``eventfds``; none: switches all off."""
    if not eventfds:
        return IRQ_SET.pack(IRQ_SET.size, IRQ_DATA_NONE | IRQ_ACTION_TRIGGER, index, 0, 0)
    data = array.array("i", eventfds).tobytes()
    flags = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER
    return IRQ_SET.pack(IRQ_SET.size + len(data), flags, index, 0, len(eventfds)) + data


@dataclass(frozen=True, slots=True)
class Group:
    """An IOMMU group that VFIO offers; ``noiommu``: in name only, the kernel runs VFIO without an IOMMU."""

    node: Path
    noiommu: bool

    @property
    def name(self) -> str:
        """``14`` or ``noiommu-0``."""
        return self.node.name


def groups(system: System) -> list[Group]:
    """Every group with a node in /dev/vfio."""
    nodes = [node for node in entries(system.dev / "vfio") if node.name.removeprefix("noiommu-").isdigit()]
    return [Group(node, node.name.startswith("noiommu-")) for node in nodes]


class NotViable(Exception):
    """Raised when another device of the group has a kernel driver, so the kernel refuses this one."""


class Function:
    """A PCI function that this process has opened; one process at a time can.

    The kernel resets the function when it is opened (without FLR possibly its whole bus), and again when it is closed.
    """

    fd: int

    def __init__(self) -> None:
        """Raises OSError."""
        self._fds: list[int] = []
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Set ``fd``; every descriptor is in ``_fds`` as soon as it is open."""
        raise NotImplementedError

    def _keep(self, path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._fds.append(fd)
        return fd

    def region(self, index: int) -> Region:
        """A BAR, 0 to 5, or CONFIG_REGION; its size is 0 if the function has none."""
        packed = REGION_INFO.pack(REGION_INFO.size, 0, index, 0, 0, 0)
        _, flags, _, _, size, offset = REGION_INFO.unpack(ioctl(self.fd, DEVICE_GET_REGION_INFO, packed))
        return Region(size, offset, bool(flags & REGION_MMAP))

    def vectors(self) -> int:
        """The number of its message-signalled interrupts: MSI-X, or MSI where it has no MSI-X."""
        return self._vectors(self._kind())

    def _kind(self) -> int:
        return MSIX if self._vectors(MSIX) else MSI

    def _vectors(self, kind: int) -> int:
        packed = IRQ_INFO.pack(IRQ_INFO.size, 0, kind, 0)
        count: int = IRQ_INFO.unpack(ioctl(self.fd, DEVICE_GET_IRQ_INFO, packed))[3]
        return count

    def listen(self, eventfds: list[int]) -> None:
        """Let its vectors from 0 on signal ``eventfds``."""
        self._become_master()  # a message-signalled interrupt is a write by the function
        ioctl(self.fd, DEVICE_SET_IRQS, pack_irq_set(self._kind(), eventfds))

    def _become_master(self) -> None:
        set_bus_master(self.fd, self.region(CONFIG_REGION).offset)

    def map_dma(self, memory: memoryview, at: int) -> None:
        """Let the function reach ``memory``, whole pages, at its bus address ``at``; until ``close``."""
        self._become_master()
        pin = ctypes.c_char.from_buffer(memory)
        try:
            self._map(ctypes.addressof(pin), at, len(memory))
        finally:
            del pin

    def _map(self, address: int, at: int, count: int) -> None:
        """Show ``count`` bytes at ``address`` of this process to the function at ``at``."""
        raise NotImplementedError

    def close(self) -> None:
        """Close everything; the kernel switches the interrupts off.  Idempotent."""
        while self._fds:
            os.close(self._fds.pop())


class GroupFunction(Function):
    """A function opened through its group."""

    def __init__(self, group: Path, container: Path, name: str) -> None:
        """``name`` as in sysfs.  Raises OSError (EBUSY: another process has the group), NotViable."""
        self._group, self._container_node, self._name = group, container, name
        super().__init__()

    def _open(self) -> None:
        group = self._keep(self._group)
        status = ioctl(group, GROUP_GET_STATUS, GROUP_STATUS.pack(GROUP_STATUS.size, 0))
        if not GROUP_STATUS.unpack(status)[1] & GROUP_VIABLE:
            raise NotViable
        self._container = container = self._keep(self._container_node)
        version = fcntl.ioctl(container, GET_API_VERSION)
        if version != API_VERSION:
            raise OSError(f"the kernel speaks version {version} of VFIO, this software {API_VERSION}")
        fcntl.ioctl(group, GROUP_SET_CONTAINER, struct.pack("=i", container))
        kind = next((kind for kind in TYPE1_IOMMUS if fcntl.ioctl(container, CHECK_EXTENSION, kind)), None)
        if kind is None:
            raise OSError("the kernel has no type 1 IOMMU: load vfio_iommu_type1")
        fcntl.ioctl(container, SET_IOMMU, kind)
        self.fd = fcntl.ioctl(group, GROUP_GET_DEVICE_FD, bytearray(self._name.encode() + b"\0"), True)
        self._fds.append(self.fd)

    def _map(self, address: int, at: int, count: int) -> None:
        ioctl(self._container, IOMMU_MAP_DMA, DMA_MAP.pack(DMA_MAP.size, DMA_READ_WRITE, address, at, count))
