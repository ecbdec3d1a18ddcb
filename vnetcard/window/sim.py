"""``sim:NAME``: one side's memory in the live simulation that ``vnetcard-sim NAME`` runs, and the engine beside it.

The simulator makes and removes the memories; agents lay their window out in theirs, and never see the peer's.
"""

from __future__ import annotations

import os

from vnetcard.codes.error import ErrorCode
from vnetcard.engine.dma import Engine, Wakeups
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window.contract import Request
from vnetcard.window.creation import Opener
from vnetcard.window.file_backed import BackedWindow, open_backed, read_backed
from vnetcard.window.sim_bus import memory_name
from vnetcard.window.sim_client import SHM, SimBus, SimRegisters, check_name, open_object


class SimWindow:
    """A window whose peer is beyond an engine; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, bus: SimBus, window: BackedWindow, side: int) -> None:
        self._bus = bus
        self._window = window
        self._registers = SimRegisters(bus, side)
        self._open = True
        self.url = window.url
        self.memory = window.memory
        self.geometry = window.geometry
        self.notes = window.notes
        self.restored = window.restored
        self.futex_wake = True
        self.interrupts = None
        try:
            self.engine = Engine(
                self._registers,
                side,
                base=bus.bases[side],
                geometry=window.geometry,
                name=f"the engine of simulation {bus.name}",
                wakeups=Wakeups.SLEEPING,
            )
        except BaseException:
            self.close()
            raise

    def vanished(self) -> str | None:
        return self._bus.vanished() or self._window.vanished()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._registers.close()
        self._window.close()
        self._bus.close()


def open_window(request: Request) -> SimWindow:
    """Open this side of a running simulation; see ``vnetcard.window.open_window``."""
    name, side = request.place, request.side
    if request.size is not None:
        raise ConfigError(f"window sim:{name} has the size that the simulator gave it: `vnetcard-sim --memory SIZE`")
    request.want_one_pair(f"sim:{name}", "the engine moves no more")
    bus = SimBus(name)
    try:
        if not bus.bases[side]:
            raise ConfigError(f"the host of simulation {name} is the client of its PCI function, with its own memory")
        window = open_backed(_opener(name, side, bus.memory_bytes), request)
    except BaseException:
        bus.close()
        raise
    try:
        return SimWindow(bus, window, side)
    except BaseException:
        window.close()
        bus.close()
        raise


def _opener(name: str, side: int, size: int) -> Opener:
    def open_memory() -> int:
        fd = open_object(memory_name(name, side), name)
        if (found := os.fstat(fd).st_size) != size:
            os.close(fd)
            raise WindowUnavailable(
                f"sim:{name}: the {L.SIDES[side]}'s memory has {found} bytes, the simulator says {size}: "
                "it is just starting",
                code=ErrorCode.WINDOW_NOT_READY,
            )
        return fd

    def keep() -> None:
        raise PermissionError  # never called: the memory is the simulator's, so the window is not removable

    return Opener(f"sim:{name}", SHM / memory_name(name, side), open_memory, keep, blank_is_ours=False, one_sided=True)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the first bytes of one side's memory: ``NAME.host`` or ``NAME.card``."""
    name, side = whose(place)
    return read_backed(SHM / memory_name(name, side), f"sim:{place}", limit)


def whose(place: str) -> tuple[str, int]:
    """The simulation and the side of ``NAME.host`` or ``NAME.card``; ConfigError for anything else."""
    name, dot, which = place.rpartition(".")
    if not dot or which not in L.SIDES:
        raise ConfigError(f"sim:{place} has two windows: name sim:{place}.host or sim:{place}.card")
    check_name(name)
    return name, L.SIDES.index(which)
