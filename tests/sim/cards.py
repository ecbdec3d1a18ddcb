"""A simulation reached through its bus object: registers, doorbells and memories, without the agents' code."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.window import sim_bus

SYS_FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
_FUTEX_WAKE = 1
_LIBC = ctypes.CDLL(None)
LIMIT = 30.0
"""Seconds for what takes microseconds, on a machine that is very busy."""
RING_LOG2 = {L.DIRECTIONS[0]: 16, L.DIRECTIONS[1]: 16}
RING_OFFSET = {L.DIRECTIONS[0]: 0x10000, L.DIRECTIONS[1]: 0x20000}
RING_BYTES = 1 << 16


def wait_until(what: str, true: Callable[[], object], *, limit: float = LIMIT) -> None:
    """Return once ``true()`` holds; TimeoutError naming ``what`` after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit:.0f} s: {what}")
        time.sleep(0.0005)


class Card:
    """One side's view: its registers over the bus object, and its memory."""

    def __init__(self, bus: Memory, bus_at: int, memory: Memory, memory_at: int, side: int) -> None:
        """The mappings, and the addresses where they begin."""
        self.bus, self.memory, self.side = bus, memory, side
        self._bus_at, self.memory_at = bus_at, memory_at
        self._at = sim_bus.SIDE_OFFSET + side * sim_bus.SIDE_BYTES

    def _wake(self) -> None:
        if self.bus.load32(sim_bus.HEADER["asleep"]):
            self.wake_simulator()

    def wake_simulator(self) -> None:
        """Wake the simulator.  An increment by both sides at once may be lost; it wakes nevertheless."""
        at = sim_bus.HEADER["doorbell"]
        self.bus.store32(at, (self.bus.load32(at) + 1) & 0xFFFF_FFFF)
        _LIBC.syscall(SYS_FUTEX, ctypes.c_void_p(self._bus_at + at), _FUTEX_WAKE, 1, None, None, 0)

    def _ask(self, op: int, offset: int, value: int) -> int:
        mail = {name: self._at + at for name, at in sim_bus.MAILBOX.items()}
        for name, word in (("op", op), ("offset", offset), ("value", value)):
            self.bus.store32(mail[name], word)
        request = (self.bus.load32(mail["request"]) + 1) & 0xFFFF_FFFF
        self.bus.store32(mail["request"], request)
        self._wake()
        wait_until("the simulator answers", lambda: self.bus.load32(mail["reply"]) == request)
        return self.bus.load32(mail["result"])

    def read(self, name: str) -> int:
        """The register ``name``."""
        return self._ask(sim_bus.OPS["READ"], R.offset(name), 0)

    def write(self, name: str, value: int) -> None:
        """Write the register ``name``."""
        self._ask(sim_bus.OPS["WRITE"], R.offset(name), value)

    def ring(self, name: str, value: int) -> None:
        """A doorbell."""
        at = self._at + R.offset(name)
        self.bus.store32(at + sim_bus.REGS, value)
        self.bus.store32(at + sim_bus.RUNG, (self.bus.load32(at + sim_bus.RUNG) + 1) & 0xFFFF_FFFF)
        self._wake()

    def configure(self, base: int | None = None) -> None:
        """Rings of 64 KiB, as both sides of a test use them; enabled.  ``base``: elsewhere than this side's memory."""
        if base is None:
            base = self.bus.load64(sim_bus.HEADER[f"base_{L.SIDES[self.side]}"])
        self.write("window_base_lo", base & 0xFFFF_FFFF)
        self.write("window_base_hi", base >> 32)
        self.write("window_log2", self.memory.size.bit_length() - 1)
        for direction in L.DIRECTIONS:
            self.write(f"{direction}_ring_offset", RING_OFFSET[direction])
            self.write(f"{direction}_ring_log2", RING_LOG2[direction])
        self.write("irq_enable", 0xFFFF_FFFF)
        self.write("control", R.CONTROL_BITS["ENABLE"])

    def line(self, name: str) -> int:
        """The index word ``name`` (``h2c_prod``, ...) in this side's memory."""
        return self.memory.load32(L.queue_offset(0) + L.QUEUE_LINES[name])


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[Card, Card]]:
    """Host and card of the running simulation ``name``."""
    with contextlib.ExitStack() as stack:
        paths = [sim_bus.bus_name(name), *(sim_bus.memory_name(name, side) for side in (L.HOST, L.CARD))]
        maps = [stack.enter_context(_mapped(Path("/dev/shm", path))) for path in paths]
        bus, *memories = (Memory(mapped) for mapped in maps)
        for memory in (bus, *memories):
            stack.callback(memory.close)
        assert bus.load64(sim_bus.HEADER["magic"]) == sim_bus.MAGIC
        at = [_address(mapped) for mapped in maps]
        yield (
            Card(bus, at[0], memories[L.HOST], at[1], L.HOST),
            Card(bus, at[0], memories[L.CARD], at[2], L.CARD),
        )


@contextlib.contextmanager
def opened_card(name: str) -> Iterator[Card]:
    """The card of the running simulation ``name``, whose host has no memory there."""
    paths = [Path("/dev/shm", found) for found in (sim_bus.bus_name(name), sim_bus.memory_name(name, L.CARD))]
    with contextlib.ExitStack() as stack:
        bus_map, memory_map = (stack.enter_context(_mapped(path)) for path in paths)
        bus, memory = Memory(bus_map), Memory(memory_map)
        for each in (bus, memory):
            stack.callback(each.close)
        yield Card(bus, _address(bus_map), memory, _address(memory_map), L.CARD)


def _address(mapped: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapped))


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    fd = os.open(path, os.O_RDWR)
    try:
        mapped = mmap.mmap(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    with mapped:
        yield mapped


RUNNING = R.STATUS_BITS["TX_RUN"] | R.STATUS_BITS["RX_RUN"]
Pair = tuple[Card, Card]


def bring_up(cards: Pair) -> None:
    for card in cards:
        card.configure()
    wait_until("the directions run", lambda: cards[0].read("status") & RUNNING == RUNNING)


def send(cards: Pair, sender: int, prod: int, data: bytes) -> int:
    """Ring bytes from ``prod`` on, the doorbell, and wait until the other side sees them; the new prod."""
    direction = L.DIRECTIONS[sender]
    base = RING_OFFSET[direction]
    for at in range(0, len(data), L.LINE):
        cards[sender].memory.write(base + (prod + at) % RING_BYTES, data[at : at + L.LINE])
    prod = (prod + len(data)) & 0xFFFF_FFFF
    cards[sender].ring("tx_prod", prod)
    wait_until("prod arrives", lambda: cards[1 - sender].line(f"{direction}_prod") == prod)
    return prod
