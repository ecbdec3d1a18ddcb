"""VFIO without groups: a device of its own for each function, and iommufd (include/uapi/linux/iommufd.h; Linux 6.6)."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Final

from vnetcard.hw import vfio
from vnetcard.hw.sysfs import System, entries

BIND_IOMMUFD: Final = ord(";") << 8 | 118
ATTACH_IOMMUFD_PT: Final = ord(";") << 8 | 119
"""Of VFIO: VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT."""
IOAS_ALLOC: Final = ord(";") << 8 | 0x81
IOAS_MAP: Final = ord(";") << 8 | 0x85
"""Of iommufd: IOMMU_IOAS_ALLOC, IOMMU_IOAS_MAP."""
BIND: Final = struct.Struct("=IIiI")
ATTACH: Final = struct.Struct("=III")
ALLOC: Final = struct.Struct("=III")
MAP: Final = struct.Struct("=IIIIQQQ")
FIXED_READ_WRITE: Final = 1 | 2 | 4


def node_of(system: System, function: Path) -> Path | None:
    """``/dev/vfio/devices/vfioN`` of the PCI function in sysfs; None where the kernel makes none."""
    for entry in entries(function / "vfio-dev"):
        node = system.dev / "vfio/devices" / entry.name
        if node.exists():
            return node
    return None


class CdevFunction(vfio.Function):
    """A function opened through its own device, in an address space of its own."""

    def __init__(self, node: Path, iommufd: Path) -> None:
        """Raises OSError (EBUSY: another process has the function)."""
        self._node, self._iommufd_node = node, iommufd
        super().__init__()

    def _open(self) -> None:
        self.fd = self._keep(self._node)
        self._iommufd = iommufd = self._keep(self._iommufd_node)
        try:
            vfio.ioctl(self.fd, BIND_IOMMUFD, BIND.pack(BIND.size, 0, iommufd, 0))
        except OSError as error:
            if error.errno == errno.EINVAL:  # the kernel's answer where another process has bound it
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from error
            raise
        self._space = ALLOC.unpack(vfio.ioctl(iommufd, IOAS_ALLOC, ALLOC.pack(ALLOC.size, 0, 0)))[2]
        vfio.ioctl(self.fd, ATTACH_IOMMUFD_PT, ATTACH.pack(ATTACH.size, 0, self._space))

    def _map(self, address: int, at: int, count: int) -> None:
        packed = MAP.pack(MAP.size, FIXED_READ_WRITE, self._space, 0, address, count, at)
        vfio.ioctl(self._iommufd, IOAS_MAP, packed)
