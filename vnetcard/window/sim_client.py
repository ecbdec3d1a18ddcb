"""The agents' end of a live simulation: its header, and one side's registers (layout: ``sim_bus.py``)."""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

from vnetcard._core import Doorbell, Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.window import locks
from vnetcard.window import sim_bus as B

ANSWER_LIMIT = 2.0
"""Seconds for one register access; a simulator on a very busy machine takes some milliseconds."""
CHECK_EVERY = 0.1
"""Seconds between two checks, during a wait, of whether the simulator lives."""

SHM = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory (shm_overview(7))."""


def check_name(name: str) -> None:
    """Raise ConfigError for an invalid name of a simulation."""
    if "/" in name or "\0" in name or name.startswith(".") or len(os.fsencode(name)) > 200:
        raise ConfigError(
            f"invalid window URL sim:{name}: a name has 1 to 200 bytes, no '/', no leading '.'", code=ErrorCode.BAD_URL
        )


def open_object(name: str, simulation: str) -> int:
    """A descriptor of shared memory that the simulator has made; WindowUnavailable when there is none."""
    try:
        return os.open(SHM / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise WindowUnavailable(
            f"no simulation {simulation} is running: start `vnetcard-sim {simulation}`, or name another --window",
            code=ErrorCode.WINDOW_MISSING,
        ) from error
    except OSError as error:
        raise WindowUnavailable(
            f"sim:{simulation}: cannot open {SHM / name} ({error.strerror})", code=code_of(error)
        ) from error


class SimBus:
    """The bus of simulation ``name``, opened; its attributes are those of the time of opening."""

    def __init__(self, name: str) -> None:
        """Raises ConfigError (the name), WindowUnavailable (not running, card removed), LayoutMismatch."""
        check_name(name)
        self.name = name
        self._fd = open_object(B.bus_name(name), name)
        try:
            size = os.fstat(self._fd).st_size
            if size < B.BUS_BYTES:
                raise WindowUnavailable(f"sim:{name}: its bus has {size} bytes, not {B.BUS_BYTES}: is it starting?")
            self._map = mmap.mmap(self._fd, B.BUS_BYTES)
        except BaseException:
            os.close(self._fd)
            raise
        self.memory = Memory(self._map)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        load, load64, at = self.memory.load32, self.memory.load64, B.HEADER
        if load64(at["magic"]) == 0:
            raise WindowUnavailable(f"sim:{self.name}: the simulation is just starting, or its start failed")
        if load64(at["magic"]) != B.MAGIC:
            raise WindowUnavailable(f"sim:{self.name}: {SHM / B.bus_name(self.name)} is no simulation's bus")
        if load(at["version"]) != B.VERSION:
            raise LayoutMismatch(
                f"sim:{self.name}: its bus is of version {load(at['version'])}, this software's is {B.VERSION}"
            )
        self.instance, self.pid = load(at["instance"]), load(at["pid"])
        self.data_width, self.memory_bytes = load(at["data_width"]), load64(at["memory_bytes"])
        self.bases = load64(at["base_host"]), load64(at["base_card"])
        if why := self.vanished():
            raise WindowUnavailable(why)

    def vanished(self) -> str | None:
        """Why this is no longer the simulation that was opened, in words, or None."""
        if not locks.is_locked(self._fd, B.LOCK_BYTE) or os.fstat(self._fd).st_nlink == 0:
            return f"simulation {self.name} has ended: start it again with `vnetcard-sim {self.name}`"
        if self.memory.load32(B.HEADER["removed"]):
            return f"the card of simulation {self.name} was removed"
        if self.memory.load32(B.HEADER["instance"]) != self.instance:
            return f"simulation {self.name} was restarted, or its card put back"
        return None

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Idempotent."""
        if self._fd >= 0:
            self.memory.close()
            self._map.close()
            os.close(self._fd)
            self._fd = -1


class SimRegisters:
    """One side's registers over the bus: ``vnetcard.engine.dma.Registers``; threads may share it."""

    def __init__(self, bus: SimBus, side: int) -> None:
        self._bus = bus
        self._memory = bus.memory
        self._base = B.SIDE_OFFSET + side * B.SIDE_BYTES
        self._turn = threading.Lock()
        self._ask: Doorbell | None = self._knocker(self._base + B.MAILBOX["request"], None)

    def _knocker(self, word: int, rung: int | None) -> Doorbell:
        return Doorbell(
            self._memory, word, count_word=rung, wake_word=B.HEADER["doorbell"], sleep_word=B.HEADER["asleep"]
        )

    def read32(self, offset: int, /) -> int:
        """The register, by the mailbox; WindowUnavailable if the simulator does not answer."""
        return self._access("READ", offset, 0)

    def write32(self, offset: int, value: int, /) -> None:
        """Set the register, by the mailbox; WindowUnavailable if the simulator does not answer."""
        self._access("WRITE", offset, value)

    def doorbell(self, offset: int, /) -> Doorbell:
        """The doorbell of the register, for Python and for pumps."""
        return self._knocker(self._base + B.REGS + offset, self._base + B.RUNG + offset)

    def _access(self, op: str, offset: int, value: int) -> int:
        memory, box = self._memory, {name: self._base + at for name, at in B.MAILBOX.items()}
        with self._turn:
            if self._ask is None:
                raise ValueError("the window is closed")
            self._wait_answered(box)  # a killed predecessor may have asked last
            for name, word in (("op", B.OPS[op]), ("offset", offset), ("value", value)):
                memory.store32(box[name], word)
            self._ask((memory.load32(box["request"]) + 1) & 0xFFFF_FFFF)
            self._wait_answered(box)
            return memory.load32(box["result"])

    def _wait_answered(self, box: dict[str, int]) -> None:
        memory, deadline = self._memory, time.monotonic() + ANSWER_LIMIT
        request = memory.load32(box["request"])
        while (reply := memory.load32(box["reply"])) != request:
            if why := self._bus.vanished():
                raise WindowUnavailable(why)
            if time.monotonic() > deadline:
                raise WindowUnavailable(
                    f"simulation {self._bus.name} (process {self._bus.pid}) has not answered within "
                    f"{ANSWER_LIMIT:.0f} s: is it stopped?"
                )
            memory.wait32(box["reply"], reply, CHECK_EVERY)

    def close(self) -> None:
        """Release the bus."""
        with self._turn:
            self._ask = None
