"""A link with both sides in this process, over one memory or through a simulated DMA engine.

Each side has pumps and an in-memory port; a packet sent into one port arrives at the other.
"""

from __future__ import annotations

import contextlib
import mmap
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from vnetcard._core import Memory
from vnetcard.doctor.timing import MOMENT, Stage, gbit
from vnetcard.errors import PeerGone
from vnetcard.link.session import LinkSession
from vnetcard.link.types import Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.window import Window

UP_LIMIT = 10.0
"""Seconds allowed for the link to come up, and for a packet to arrive."""
PACKET = 1500
"""Size in bytes of the packets of the throughput measurement."""


class PrivateWindow:
    """A window in anonymous memory of this process, for both sides (contract: ``vnetcard.window.Window``)."""

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
    """One side of the link, and the program's end of its port."""

    far: socket.socket
    session: LinkSession


def stage(windows: tuple[Window, Window], name: str, *, stream: bool) -> Stage:
    """Measure a link between the host's and the card's window: latency, and with ``stream`` the throughput.

    The in-memory ports limit the throughput to about 1 Gbit/s; only lower figures describe the window.
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
    with contextlib.closing(PairPort(f"doctor-{L.SIDES[side]}")) as port:
        port.far.settimeout(UP_LIMIT)
        with LinkSession(window, side, port=port, offer=Offer(0, PACKET)) as session:
            yield Side(port.far, session)


def _bring_up(sides: list[Side]) -> None:
    deadline = time.monotonic() + UP_LIMIT
    while not all(side.session.is_up for side in sides):
        if time.monotonic() > deadline:
            links = [side.session.link for side in sides]
            raise PeerGone("; ".join(f"{link.state.value}: {link.reason}" for link in links))
        time.sleep(min(side.session.tick() for side in sides) / 10)


def _tick(sides: list[Side], stop: threading.Event) -> None:
    while not stop.is_set():
        stop.wait(min(side.session.tick() for side in sides))


def _round_trip(sides: list[Side]) -> float:
    host, card = (side.far for side in sides)
    packet, start, count = bytes(64), time.perf_counter(), 0
    while (now := time.perf_counter()) - start < MOMENT or not count:
        host.send(packet)
        card.send(card.recv(PACKET))
        host.recv(PACKET)
        count += 1
    return (now - start) / count


def _throughput(sides: list[Side]) -> float:
    """Gbit/s, host to card."""
    host, card = (side.far for side in sides)
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
