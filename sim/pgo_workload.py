"""What the compiler watches before it optimizes: records of several sizes through a simulator that counts its steps.

    python -m vnetcard.sim.pgo_workload LIBRARY WIDTH

``build.py`` runs it between the two compilations; the counts are written when the process ends.
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

from vnetcard.engine.dma import Engine
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.sim.library import BASES, Bus, Simulator
from vnetcard.sim.objects import Objects
from vnetcard.window.sim_client import SimBus, SimRegisters

MEMORY: Final = 1 << 20
LESSONS: Final = ((64, 200), (1536, 200), (65600, 60))
"""Bytes that a doorbell tells of, and how often it is rung: small packets, plain packets, super-packets."""
LIMIT: Final = 60.0
"""Seconds for a lesson, which takes a fraction of one."""


class Stuck(Exception):
    """The simulator does not move what it was told of."""


class Side:
    """One side as its agent would drive it; ``prod`` and ``cons`` are its own indices."""

    def __init__(self, bus: SimBus, objects: Objects, side: int, geometry: Geometry) -> None:
        self.side = side
        self.registers = SimRegisters(bus, side)
        self.engine = Engine(self.registers, side, base=BASES[side], geometry=geometry)
        self.ring_prod, self.ring_cons = self.engine.doorbells()
        self.memory = objects.memories[side]
        self.room = geometry.rings[0][side].size
        self.prod = self.cons = 0

    def close(self) -> None:
        """Let go of the bus."""
        del self.ring_prod, self.ring_cons
        self.registers.close()

    def line(self, direction: int, end: str) -> int:
        """An index that the peer's end has published, as this side's memory shows it."""
        at = L.queue_offset(0) + L.QUEUE_LINES[f"{L.DIRECTIONS[direction]}_{end}"]
        return int.from_bytes(self.memory[at : at + 4], "little")

    def send(self, count: int) -> bool:
        """Ring for ``count`` more bytes if the ring has room for them."""
        if self.prod + count - self.line(self.side, "cons") > self.room:
            return False
        self.prod += count
        self.ring_prod(self.prod)
        return True

    def receive(self) -> None:
        """Give back what has come."""
        found = self.line(1 - self.side, "prod")
        if found != self.cons:
            self.cons = found
            self.ring_cons(found)


@contextlib.contextmanager
def sides(library: Path, width: int) -> Iterator[tuple[Side, Side]]:
    """A simulation of its own with both directions running."""
    geometry = Geometry.plan(MEMORY, instance=1, removable=True)
    with contextlib.ExitStack() as stack:
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
        for side in (*pair, *pair):  # what the first one tells before the second one listens is told again
            side.engine.announce()
        for side in pair:
            side.engine.reset_directions()
        yield pair


def teach(pair: tuple[Side, Side], senders: tuple[Side, ...], count: int, times: int) -> None:
    """``times`` doorbells for ``count`` bytes from each of ``senders``, and all of it received."""
    left = dict.fromkeys(senders, times)
    deadline = time.monotonic() + LIMIT
    while any(left.values()) or any(pair[1 - side.side].cons != side.prod for side in senders):
        for side in senders:
            if left[side] and side.send(count):
                left[side] -= 1
        for side in pair:
            side.receive()
        if time.monotonic() > deadline:
            raise Stuck(f"{count} bytes, {times} times: not within {LIMIT:.0f} s")


def main(library: str, width: str) -> None:
    """Every lesson from each side alone, and from both at once.  Told to end, it leaves no shared memory behind."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with sides(Path(library), int(width)) as (host, card):
        for size, times in LESSONS:
            lines = -(-size // L.LINE) * L.LINE
            for senders in ((host,), (card,), (host, card)):
                teach((host, card), senders, lines, times)


if __name__ == "__main__":
    main(*sys.argv[1:])
