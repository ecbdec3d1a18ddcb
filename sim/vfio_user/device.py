"""The function as its client sees it: regions, interrupts, DMA maps and resets, in front of an engine.

It turns one request into one reply.  ``Engine`` is what it needs of the engine: the registers of the host's page, and
the table by which the engine reaches the client's memory.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, Protocol

from vnetcard.sim.vfio_user import pci_config
from vnetcard.sim.vfio_user import protocol as P
from vnetcard.sim.vfio_user.pci_config import BAR_BYTES, BUS_MASTER, MSIX_BAR, MSIX_PBA, ConfigSpace
from vnetcard.sim.vfio_user.vectors import Vectors

VECTORS: Final = 1
CONFIG_REGION: Final = 7
REGIONS: Final = 9
"""BARs 0 to 5, the ROM, the configuration, VGA: as in <linux/vfio.h>."""
MSIX_IRQ: Final = 2
IRQS: Final = 5
"""INTx, MSI, MSI-X, errors, requests."""
PAGE: Final = 4096
DMA_BITS: Final = 64
_MSIX_ENTRY: Final = 16


class Engine(Protocol):
    """What is behind the function."""

    def read32(self, offset: int) -> int:
        """The register at ``offset`` of the host's page; all ones when the card is gone."""

    def write32(self, offset: int, value: int) -> None:
        """Set the register at ``offset``."""

    def map_dma(self, request: P.DmaMap, fd: int | None) -> None:
        """Let the engine reach the client's memory by ``fd``, which stays the caller's; raises Refused."""

    def unmap_dma(self, address: int, size: int) -> None:
        """Take back every map within the range; when this returns, the engine accesses them no more."""

    def unmap_all(self) -> None:
        """Take back every map."""

    def set_master(self, on: bool) -> None:
        """May the engine access the client's memory?"""

    def reset_function(self) -> None:
        """Reset the host's page, after the transfers in flight have ended."""

    @property
    def removed(self) -> bool:
        """Whether the card is gone: everything reads as all ones."""


class Device:
    """One PCI function; ``close`` forgets the client."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.config = ConfigSpace(VECTORS)
        self.vectors = Vectors(VECTORS)
        self._table = bytearray(_MSIX_ENTRY * VECTORS)
        self.resets = 0
        """Function resets that a client demanded."""
        self._serve: dict[int, Callable[[bytes, list[int]], bytes]] = {
            P.Command.DMA_MAP: self._map,
            P.Command.DMA_UNMAP: self._unmap,
            P.Command.DEVICE_GET_INFO: self._device_info,
            P.Command.DEVICE_GET_REGION_INFO: self._region_info,
            P.Command.DEVICE_GET_IRQ_INFO: self._irq_info,
            P.Command.DEVICE_SET_IRQS: self._set_irqs,
            P.Command.REGION_READ: self._read,
            P.Command.REGION_WRITE: self._write,
            P.Command.DEVICE_RESET: self._reset,
        }

    def serve(self, command: int, payload: bytes, fds: list[int]) -> bytes:
        """The payload of the reply; raises Refused.  What is left in ``fds`` is the caller's to close."""
        serve = self._serve.get(command)
        if serve is None:
            raise P.Refused(errno.ENOTSUP, f"command {command}")
        return serve(payload, fds)

    def interrupt(self) -> None:
        """Send the engine's interrupt: a write by the function, so it has to be bus master."""
        if self.config.command & BUS_MASTER:
            self.vectors.signal(0)

    def reset(self) -> None:
        """A function level reset: configuration, MSI-X and the host's page are as after power-up."""
        self.resets += 1
        self._engine.reset_function()
        self._engine.set_master(False)
        self._power_up()

    def power_cycle(self) -> None:
        """The card was put back: the engine was reset with it."""
        self._engine.set_master(False)
        self._power_up()

    def _power_up(self) -> None:
        self.config.reset()
        self._table[:] = bytes(len(self._table))

    def close(self) -> None:
        """The client is gone, and with it its memory and its eventfds."""
        self._engine.set_master(False)
        self._engine.unmap_all()
        self.vectors.close()

    # --- commands -----------------------------------------------------------------------------------

    def _map(self, payload: bytes, fds: list[int]) -> bytes:
        request = P.DmaMap.parse(payload)
        _want_pages(request.address, request.size, request.offset)
        if request.flags & ~(P.DMA_READ | P.DMA_WRITE) or len(fds) > 1:
            raise P.Refused(errno.EINVAL, f"a map with flags {request.flags:#x} and {len(fds)} descriptors")
        self._engine.map_dma(request, fds[0] if fds else None)
        return b""

    def _unmap(self, payload: bytes, fds: list[int]) -> bytes:
        request = P.DmaUnmap.parse(payload)
        if fds or request.flags:
            raise P.Refused(errno.EINVAL, f"an unmap with flags {request.flags:#x} and {len(fds)} descriptors")
        _want_pages(request.address, request.size)
        self._engine.unmap_dma(request.address, request.size)
        return request.pack()

    def _device_info(self, payload: bytes, fds: list[int]) -> bytes:
        P.DeviceInfo.parse(payload)
        return P.DeviceInfo(P.DEVICE_RESET | P.DEVICE_PCI, REGIONS, IRQS).pack()

    def _region_info(self, payload: bytes, fds: list[int]) -> bytes:
        index = P.RegionInfo.parse(payload).index
        if index >= REGIONS:
            raise P.Refused(errno.EINVAL, f"region {index}")
        size = _region_bytes(index)
        return P.RegionInfo(index, P.REGION_READ | P.REGION_WRITE if size else 0, size).pack()

    def _irq_info(self, payload: bytes, fds: list[int]) -> bytes:
        index = P.IrqInfo.parse(payload).index
        if index >= IRQS:
            raise P.Refused(errno.EINVAL, f"interrupts of kind {index}")
        if index != MSIX_IRQ:
            return P.IrqInfo(index).pack()
        return P.IrqInfo(index, P.IRQ_EVENTFD | P.IRQ_MASKABLE | P.IRQ_NORESIZE, self.vectors.count).pack()

    def _set_irqs(self, payload: bytes, fds: list[int]) -> bytes:
        request = P.IrqSet.parse(payload)
        if request.index != MSIX_IRQ:
            if request.index < IRQS and request.data == P.DATA_NONE and request.count == 0:
                return b""  # of a kind that it does not have, all are off
            raise P.Refused(errno.EINVAL, f"interrupts of kind {request.index}")
        self.vectors.apply(request, fds)
        fds.clear()
        return b""

    def _read(self, payload: bytes, fds: list[int]) -> bytes:
        request = P.RegionAccess.parse(payload, data=False)
        _want_within(request)
        data = self._read_region(request.region, request.offset, request.count)
        return P.RegionAccess(request.offset, request.region, request.count, data).pack()

    def _read_region(self, region: int, offset: int, count: int) -> bytes:
        if self._engine.removed:
            return b"\xff" * count
        if region == CONFIG_REGION:
            return self.config.read(offset, count)
        if region == MSIX_BAR:
            page = bytearray(BAR_BYTES[MSIX_BAR])
            page[: len(self._table)] = self._table
            pending = self.vectors.pending()
            page[MSIX_PBA : MSIX_PBA + len(pending)] = pending
            return bytes(page[offset : offset + count])
        first, last = offset & ~3, offset + count
        words = b"".join(self._engine.read32(at).to_bytes(4, "little") for at in range(first, last, 4))
        return words[offset - first : last - first]

    def _write(self, payload: bytes, fds: list[int]) -> bytes:
        request = P.RegionAccess.parse(payload, data=True)
        _want_within(request)
        if not self._engine.removed:
            self._write_region(request.region, request.offset, request.data)
        return P.RegionAccess(request.offset, request.region, request.count).pack()

    def _write_region(self, region: int, offset: int, data: bytes) -> None:
        if region == CONFIG_REGION:
            if self.config.write(offset, data):
                self.reset()
            else:
                self._engine.set_master(bool(self.config.command & BUS_MASTER))
        elif region == MSIX_BAR:
            room = self._table[offset : offset + len(data)]
            self._table[offset : offset + len(room)] = data[: len(room)]
        elif offset % 4 == 0 and len(data) % 4 == 0:  # the page takes whole words only
            for at in range(0, len(data), 4):
                self._engine.write32(offset + at, int.from_bytes(data[at : at + 4], "little"))

    def _reset(self, payload: bytes, fds: list[int]) -> bytes:
        if payload or fds:
            raise P.Refused(errno.EINVAL, "a reset with a payload")
        self.reset()
        return b""


def _region_bytes(index: int) -> int:
    return pci_config.SIZE if index == CONFIG_REGION else BAR_BYTES.get(index, 0)


def _want_within(request: P.RegionAccess) -> None:
    size = _region_bytes(request.region) if request.region < REGIONS else 0
    if request.offset > size or request.count > size - request.offset:
        raise P.Refused(errno.EINVAL, f"{request.count} bytes at {request.offset:#x} of region {request.region}")


def _want_pages(address: int, size: int, offset: int = 0) -> None:
    """Refuse what is not whole pages: a burst of the engine lies within one, so it needs one map."""
    whole = not (address % PAGE or size % PAGE or offset % PAGE)
    if not whole or size == 0 or address + size > 1 << DMA_BITS or offset + size > 1 << (DMA_BITS - 1):
        raise P.Refused(errno.EINVAL, f"{size:#x} bytes at {address:#x}, offset {offset:#x}, are no whole pages")
