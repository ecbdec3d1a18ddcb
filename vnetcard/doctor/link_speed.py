"""A whole link within this process: both sides' pumps, and between them one memory, or a simulation's engine.

What leaves one side's in-memory port comes out at the other's.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from vnetcard._core import Memory
from vnetcard.doctor.timing import MOMENT, Stage, gbit
from vnetcard.errors import PeerGone
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.window import Window

UP_LIMIT = 10.0
"""Seconds for the link to come up, and for a packet to get across."""
PACKET = 1500
"""Bytes of the packets that measure."""


class _Nobody:
    """Whom the links tell nothing."""

    def link_up(self, agreement: Agreement) -> None:
        pass

    def carrier(self, up: bool, reason: str) -> None:
        pass

    def report(self, message: str) -> None:
        pass


class PrivateWindow:
    """A window in this process's own memory, for both sides; nothing of it has a name (``vnetcard.window.Window``)."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, L.WINDOW_DEFAULT)
        self.url = "private"
        self.memory = Memory(self._map)
        self.geometry = Geometry.plan(L.WINDOW_DEFAULT, instance=1, removable=False)
        self.notes: tuple[str, ...] = ()
        self.futex_wake = True
        self.engine = None
        self.interrupts = None

    def vanished(self) -> str | None:
        return None

    def close(self) -> None:
        if self.memory.size:
            self.memory.close()
            self._map.close()


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the link."""

    port: PairPort
    link: Link


def stage(windows: tuple[Window, Window], name: str, *, stream: bool) -> Stage:
    """A link between the host's and the card's window: latency, and throughput if ``stream``.

    The in-memory ports limit the throughput to about 1 Gbit/s, so it tells something of what is slower than that.
    Raises PeerGone when the link does not come up, TimeoutError when a packet is lost.
    """
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(_side(window, side)) for side, window in enumerate(windows)]
        _bring_up(sides)
        stop = threading.Event()
        ticker = threading.Thread(target=_tick, args=(sides, stop), name="ticker")
        ticker.start()
        try:
            latency = _round_trip(sides) / 2
            small = _throughput(sides) if stream else None
        finally:
            stop.set()
            ticker.join()
    return Stage(name, latency * 1e6, small, None, f"pump to pump, one way{'; host to card' if stream else ''}")


@contextlib.contextmanager
def _side(window: Window, side: int) -> Iterator[Side]:
    attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    port = PairPort(f"doctor-{L.SIDES[side]}")
    port.far.settimeout(UP_LIMIT)
    engine = window.engine
    endpoints = PumpEndpoints(
        window.memory,
        window.geometry,
        side,
        port,
        attention_fd=attention,
        wait="adaptive",
        futex=window.futex_wake,
        doorbells=engine.doorbells() if engine else None,
    )
    link = Link(window.memory, side, endpoints, _Nobody(), Offer(0, PACKET), transport=engine)
    try:
        link.start()
        yield Side(port, link)
    finally:
        link.stop()
        endpoints.close()
        port.close()
        os.close(attention)


def _bring_up(sides: list[Side]) -> None:
    deadline = time.monotonic() + UP_LIMIT
    while any(side.link.state is not LinkState.RUN for side in sides):
        if time.monotonic() > deadline:
            raise PeerGone("; ".join(f"{side.link.state.value}: {side.link.reason}" for side in sides))
        time.sleep(min(side.link.tick() for side in sides) / 10)


def _tick(sides: list[Side], stop: threading.Event) -> None:
    while not stop.is_set():
        stop.wait(min(side.link.tick() for side in sides))


def _round_trip(sides: list[Side]) -> float:
    host, card = (side.port.far for side in sides)
    packet, start, count = bytes(64), time.perf_counter(), 0
    while (now := time.perf_counter()) - start < MOMENT or not count:
        host.send(packet)
        card.send(card.recv(PACKET))
        host.recv(PACKET)
        count += 1
    return (now - start) / count


def _throughput(sides: list[Side]) -> float:
    """Gbit/s, host to card."""
    host, card = (side.port.far for side in sides)
    packet, count = bytes(PACKET), 256

    def send() -> None:
        for _ in range(count):
            host.send(packet)

    start = time.perf_counter()
    sender = threading.Thread(target=send, name="sender")
    sender.start()
    for _ in range(count):
        card.recv(PACKET)
    sender.join()
    return gbit(count * PACKET, time.perf_counter() - start)
