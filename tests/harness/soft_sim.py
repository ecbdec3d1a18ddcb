"""A simulation whose engine is ``soft_engine.py``: real agents reach it as ``sim:NAME``, without Verilator.

A thread of the test polls the bus objects, as the simulator does; it never sleeps, so it needs no wake-up.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import os
import platform
import threading
import time
from collections.abc import Iterator

from tests.harness.soft_engine import GONE, SoftEngine
from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.sim.objects import Objects, new_instance
from vnetcard.window import sim_bus as B

_FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
_FUTEX_WAKE = 1
_DOORBELLS = ("tx_prod", "rx_cons", "side_doorbell")
IDLE = 0.0002
"""Seconds between two polls of an idle bus."""
MEMORY = 1 << 20
_numbers = itertools.count()


class SoftSimulation:
    """``vnetcard-sim`` in a thread; tests may change ``engine``."""

    def __init__(self, name: str, memory_bytes: int = MEMORY) -> None:
        self.name = name
        self.objects = Objects(name, memory_bytes, 64)
        self.bus = Memory(self.objects.bus)
        self.engine = SoftEngine((Memory(self.objects.memories[0]), Memory(self.objects.memories[1])))
        self.engine.interrupt = self._interrupt
        self._seen = [
            [self.bus.load32(self._word(side, B.RUNG, register)) for register in _DOORBELLS] for side in (0, 1)
        ]
        for side in (0, 1):
            self._answer(side, GONE)  # an agent that waits for the answer of a killed predecessor
        self._end = threading.Event()
        self.paused = threading.Event()
        self._thread = threading.Thread(target=self._run, name="softsim")
        self._thread.start()
        self.objects.open_to_agents()

    def _word(self, side: int, page: int, register: str) -> int:
        return B.SIDE_OFFSET + side * B.SIDE_BYTES + page + R.offset(register)

    def _box(self, side: int, name: str) -> int:
        return B.SIDE_OFFSET + side * B.SIDE_BYTES + B.MAILBOX[name]

    def _run(self) -> None:
        while not self._end.is_set():
            busy = not self.paused.is_set() and (self._poll(0) | self._poll(1) | self.engine.step())
            if not busy:
                time.sleep(IDLE)

    def _poll(self, side: int) -> bool:
        request = self.bus.load32(self._box(side, "request"))  # before the doorbells that precede it
        busy = False
        for n, register in enumerate(_DOORBELLS):
            count = self.bus.load32(self._word(side, B.RUNG, register))
            if count != self._seen[side][n]:
                self._seen[side][n] = count
                self.engine.write(side, R.offset(register), self.bus.load32(self._word(side, B.REGS, register)))
                busy = True
        if request == self.bus.load32(self._box(side, "reply")):
            return busy
        offset, value = (self.bus.load32(self._box(side, name)) for name in ("offset", "value"))
        if self.bus.load32(self._box(side, "op")) == B.OPS["READ"]:
            value = self.engine.read(side, offset)
        else:
            self.engine.write(side, offset, value)
        self._answer(side, value)
        return True

    def _answer(self, side: int, value: int) -> None:
        self.bus.store32(self._box(side, "result"), value)
        self.bus.store32(self._box(side, "reply"), self.bus.load32(self._box(side, "request")))
        _wake(self.objects.bus, self._box(side, "reply"))

    def _interrupt(self, side: int, bits: int) -> None:
        """The driver's interrupt handler: clear, and wake the words on which that side's pumps sleep."""
        self.engine.pages[side].irq &= ~bits
        for line in (f"{L.DIRECTIONS[1 - side]}_prod", f"{L.DIRECTIONS[side]}_cons"):
            _wake(self.objects.memories[side], L.queue_offset(0) + L.QUEUE_LINES[line])

    def pull_out(self) -> None:
        """Remove the card."""
        self.engine.removed = True
        self.bus.store32(B.HEADER["removed"], 1)

    def put_back(self) -> None:
        """Put the card back, as after power-up."""
        self.engine.power_up()
        self.engine.removed = False
        self.bus.store32(B.HEADER["instance"], new_instance())
        self.bus.store32(B.HEADER["removed"], 0)

    def close(self) -> None:
        """End as the simulator does on SIGTERM."""
        self._end.set()
        self._thread.join()
        for memory in (self.bus, *self.engine.memories):
            memory.close()
        self.objects.close()


def _wake(mapped: mmap.mmap, offset: int) -> None:
    word = ctypes.c_uint32.from_buffer(mapped, offset)
    ctypes.CDLL(None).syscall(_FUTEX, ctypes.byref(word), _FUTEX_WAKE, 0x7FFF_FFFF, None, None, 0)
    del word


def new_name() -> str:
    """A unique name of a simulation."""
    return f"soft-{os.getpid()}-{next(_numbers)}"


@contextlib.contextmanager
def soft_simulation(name: str | None = None, memory_bytes: int = MEMORY) -> Iterator[SoftSimulation]:
    """Run a simulation during the block."""
    simulation = SoftSimulation(name or new_name(), memory_bytes)
    try:
        yield simulation
    finally:
        simulation.close()
