"""The workload for profile-guided optimization: records of several sizes through an instrumented simulator.

    python -m vnetcard.sim.pgo_workload LIBRARY WIDTH

``build.py`` runs it between the two compilations; the process writes the profile when it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vnetcard.engine.dma import Engine, Wakeups
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.sim.library import BASES, Bus, Simulator
from vnetcard.sim.objects import Objects
from vnetcard.window.sim_client import SimBus, SimRegisters

MEMORY: Final = 1 << 20
BURSTS: Final = ((64, 200), (1536, 200), (65600, 60))
"""(bytes per doorbell, number of doorbells): small packets, plain packets, super-packets."""
LIMIT: Final = 60.0
"""Seconds for one entry of BURSTS, which takes a fraction of one."""


class Stuck(Exception):
    """Raised when the simulator does not move the records in time."""


class Side:
    """One side, driven as its agent would; ``prod`` and ``cons`` are its own indices."""

    def __init__(self, bus: SimBus, objects: Objects, side: int, geometry: Geometry) -> None:
        self.side = side
        self.registers = SimRegisters(bus, side)
        self.engine = Engine(self.registers, side, base=BASES[side], geometry=geometry, wakeups=Wakeups.SLEEPING)
        self.ring_prod, self.ring_cons = self.engine.doorbells()
        self.memory = objects.memories[side]
        self.room = geometry.rings[0][side].size
        self.prod = self.cons = 0

    def close(self) -> None:
        """Release the bus."""
        del self.ring_prod, self.ring_cons
        self.registers.close()

    def line(self, direction: int, end: str) -> int:
        """An index that the peer's end has published, read from this side's memory."""
        at = L.queue_offset(0) + L.QUEUE_LINES[f"{L.DIRECTIONS[direction]}_{end}"]
        return int.from_bytes(self.memory[at : at + 4], "little")

    def send(self, count: int) -> bool:
        """Ring the doorbell for ``count`` more bytes; False when the ring has no room for them."""
        if self.prod + count - self.line(self.side, "cons") > self.room:
            return False
        self.prod += count
        self.ring_prod(self.prod)
        return True

    def receive(self) -> None:
        """Consume everything that has arrived."""
        found = self.line(1 - self.side, "prod")
        if found != self.cons:
            self.cons = found
            self.ring_cons(found)


@contextlib.contextmanager
def sigterm_waits() -> Iterator[None]:
    """Keep SIGTERM from ending the block half way; it comes right after the block."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextlib.contextmanager
def sides(library: Path, width: int) -> Iterator[tuple[Side, Side]]:
    """A private simulation with both directions running."""
    with contextlib.ExitStack() as stack:
        with sigterm_waits():  # half a simulator would keep the memories mapped
            pair = _set_up(stack, library, width)
        yield pair


def _set_up(stack: contextlib.ExitStack, library: Path, width: int) -> tuple[Side, Side]:
    geometry = Geometry.plan(MEMORY, instance=1, removable=True)
    objects = Objects(f"training-{os.getpid()}", MEMORY, width)
    stack.callback(objects.close)
    mapped = (objects.bus, *objects.memories)
    simulator = Simulator(library, width, mapped, bus=Bus(), trace=None, seed=0)
    stack.callback(simulator.close)
    thread = threading.Thread(target=simulator.run, name="simulator")
    thread.start()
    stack.callback(thread.join)
    stack.callback(simulator.stop)
    objects.open_to_agents()
    bus = SimBus(objects.name)
    stack.callback(bus.close)
    pair = (Side(bus, objects, L.HOST, geometry), Side(bus, objects, L.CARD, geometry))
    for side in pair:
        stack.callback(side.close)
        side.engine.attach()
    for side in (*pair, *pair):  # twice: the first announcement may precede the second side's attach
        side.engine.announce()
    for side in pair:
        side.engine.reset_directions()
    return pair


def transfer(pair: tuple[Side, Side], senders: tuple[Side, ...], count: int, times: int) -> None:
    """Ring ``times`` doorbells for ``count`` bytes from each of ``senders``; return when all is received."""
    left = dict.fromkeys(senders, times)
    deadline = time.monotonic() + LIMIT
    while any(left.values()) or any(pair[1 - side.side].cons != side.prod for side in senders):
        for side in senders:
            if left[side] and side.send(count):
                left[side] -= 1
        for side in pair:
            side.receive()
        if time.monotonic() > deadline:
            raise Stuck(f"{times} doorbells for {count} bytes each took more than {LIMIT:.0f} s")


def main(library: str, width: str) -> None:
    """Run every entry of BURSTS from each side alone and from both at once; SIGTERM removes the shared memory."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with sides(Path(library), int(width)) as (host, card):
        for size, times in BURSTS:
            lines = -(-size // L.LINE) * L.LINE
            for senders in ((host,), (card,), (host, card)):
                transfer((host, card), senders, lines, times)


if __name__ == "__main__":
    main(*sys.argv[1:])
