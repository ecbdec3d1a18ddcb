"""Measures reads and writes of a window's memory, in aligned pieces, without changing its contents.

It writes the bytes that it has read from the same place.  The caller holds the window's side, so no other process
writes the outgoing ring, and no link reads it.
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
"""Seconds: the shortest write that is reported, if the load after it took as long as a load alone."""

SLOWEST = 1e-3
"""Seconds for one load: PCIe takes about 1 us, and gives up after 50 ms."""


def stages(memory: Memory, geometry: Geometry, side: int, what: str) -> list[Stage]:
    """Reading and writing ``side``'s outgoing ring; ``what`` the memory is, for the table.

    Raises WindowUnavailable if a load takes longer than SLOWEST, as the whole would take minutes.
    """
    ring = locate(geometry, L.DIRECTIONS[side], "producer").ring
    at, large = ring.offset, min(LARGE, ring.size)
    kept = {size: memory.read(at, size) for size in (SMALL, large)}
    word = memory.load32(at)

    def write(size: int) -> None:
        memory.write(at, kept[size])
        memory.load32(at)  # a read after a posted write completes after it

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
    """The same for ordinary memory of this process, to compare the figures of a window with."""
    buffer = mmap.mmap(-1, L.WINDOW_DEFAULT)
    geometry = Geometry.plan(L.WINDOW_DEFAULT, instance=1, removable=False)
    return stages(Memory(buffer), geometry, L.HOST, "RAM")
