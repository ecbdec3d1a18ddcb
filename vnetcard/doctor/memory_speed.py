"""How fast a window's memory is to read and to write, in aligned pieces, without changing a byte of it.

What is written is what was just read from the same place.  The caller holds the window's side, so nobody else
writes its outgoing ring, and no link runs that would read there.
"""

from __future__ import annotations

import mmap
from functools import partial

from vnetcard._core import Memory
from vnetcard.doctor.timing import LARGE, SMALL, Stage, gbit, seconds_each
from vnetcard.errors import WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate
from vnetcard.ring.geometry import Geometry

SHORTEST = 1e-9
"""Seconds: what is left of a write when the load behind it took as long as the load alone."""

SLOWEST = 1e-3
"""Seconds for one load: PCIe takes about 1 us, and gives up after 50 ms."""


def stages(memory: Memory, geometry: Geometry, side: int, what: str) -> list[Stage]:
    """Reading and writing ``side``'s outgoing ring; ``what`` the memory is, for the table.

    Raises WindowUnavailable when the device behind it hardly answers: all of this would take minutes.
    """
    ring = locate(geometry, L.DIRECTIONS[side], "producer").ring
    at, large = ring.offset, min(LARGE, ring.size)
    kept = {size: memory.read(at, size) for size in (SMALL, large)}
    word = memory.load32(at)

    def write(size: int) -> None:
        memory.write(at, kept[size])
        memory.load32(at)  # a posted write is done when a read behind it is answered

    def round_trip() -> None:
        memory.store32(at, word)
        memory.load32(at)

    load = seconds_each(lambda: memory.load32(at))
    if load > SLOWEST:
        raise WindowUnavailable(
            f"one load of the {what} takes {load * 1e3:.0f} ms: the device does not answer in time; is it in reset?"
        )
    read = {size: seconds_each(partial(memory.read, at, size)) for size in kept}
    written = {size: max(seconds_each(partial(write, size)) - load, SHORTEST) for size in kept}
    return [
        Stage(f"{what} read", load * 1e6, gbit(SMALL, read[SMALL]), gbit(large, read[large]), "latency of one load"),
        Stage(
            f"{what} write",
            seconds_each(round_trip) * 1e6,
            gbit(SMALL, written[SMALL]),
            gbit(large, written[large]),
            "latency of a store and a load behind it",
        ),
    ]


def reference() -> list[Stage]:
    """The same for ordinary memory of this process: what the figures of a window can be held against."""
    buffer = mmap.mmap(-1, L.WINDOW_DEFAULT)
    geometry = Geometry.plan(L.WINDOW_DEFAULT, instance=1, removable=False)
    return stages(Memory(buffer), geometry, L.HOST, "RAM")
