"""The simulated engine behind the function: its registers by the bus's mailbox, its maps in the simulator."""

from __future__ import annotations

import errno
import fcntl
import threading
import time
from typing import Final

from vnetcard.engine import registers as R
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.sim.library import Simulator
from vnetcard.sim.vfio_user import protocol as P
from vnetcard.window.sim_client import SimBus, SimRegisters

GONE: Final = 0xFFFF_FFFF
DRAIN_LIMIT: Final = 1.0
"""Seconds for the transfers in flight at a function reset; PCI Express gives a device 0.1 s of its own time."""
POLL_EVERY: Final = 0.001
_EVERYTHING: Final = (1 << 64) - 4096


class SimulatedEngine:
    """``vnetcard.sim.vfio_user.device.Engine``; the server's thread uses it."""

    def __init__(self, simulator: Simulator, name: str) -> None:
        """``name`` is that of the simulation, which must run."""
        self._simulator, self._name = simulator, name
        self._master = self._refusing = False
        self._lock = threading.Lock()
        self.removed = False
        self._open()

    def _open(self) -> None:
        self._bus = SimBus(self._name)
        self._registers = SimRegisters(self._bus, L.HOST)

    def _close_bus(self) -> None:
        self._registers.close()
        self._bus.close()

    def read32(self, offset: int) -> int:
        if self.removed:
            return GONE
        try:
            return self._registers.read32(offset)
        except WindowUnavailable:
            return GONE

    def write32(self, offset: int, value: int) -> None:
        try:
            if not self.removed:
                self._registers.write32(offset, value)
        except WindowUnavailable:
            return  # a write to a device that is gone is lost

    def map_dma(self, request: P.DmaMap, fd: int | None) -> None:
        if fd is not None and not _keeps_its_size(fd):
            raise P.Refused(errno.EINVAL, "memory that may shrink: use a memfd with the seal F_SEAL_SHRINK")
        try:
            self._simulator.map_dma(request.address, request.size, fd, request.offset, request.flags)
        except OSError as error:
            raise P.Refused(error.errno or errno.EINVAL, f"no map at {request.address:#x}") from error

    def unmap_dma(self, address: int, size: int) -> None:
        try:
            self._simulator.unmap_dma(address, size)
        except OSError as error:
            raise P.Refused(error.errno or errno.EINVAL, f"no map to cut at {address:#x}") from error

    def unmap_all(self) -> None:
        self._simulator.unmap_dma(0, _EVERYTHING)

    def set_master(self, on: bool) -> None:
        self._master = on
        self._enable()

    def refuse(self, on: bool) -> None:
        """As an IOMMU that has lost its tables: refuse every access, or no longer; from any thread."""
        self._refusing = on
        self._enable()

    def _enable(self) -> None:
        with self._lock:
            self._simulator.enable_dma(self._master and not self._refusing)

    def reset_function(self) -> None:
        """Disable the engine for the host, wait for what is in flight, then clear the page's registers."""
        if self.removed:
            return
        self.write32(R.offset("control"), 0)
        busy, deadline = sum(R.STATUS_BITS.values()), time.monotonic() + DRAIN_LIMIT
        while self.read32(R.offset("status")) & busy and time.monotonic() < deadline:
            time.sleep(POLL_EVERY)
        for register in R.REGISTERS:
            if register.access == "RW":
                self.write32(register.offset, 0)
        self.write32(R.offset("irq_status"), GONE)

    def remove(self) -> None:
        """The card is pulled out: from now on everything reads as all ones."""
        self.removed = True
        self._simulator.remove_card()

    def put_back(self, instance: int) -> None:
        """The card is back, as after power-up."""
        self._simulator.put_card_back(instance)
        self._close_bus()
        self._open()
        self.removed = False

    def close(self) -> None:
        """Release the bus."""
        self._close_bus()


def _keeps_its_size(fd: int) -> bool:
    """Is it a memfd that cannot shrink?  An access beyond the end of another file would end the simulator."""
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False
