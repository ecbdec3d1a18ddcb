"""The contracts of windows and ports, as checks for the backends of this and other packages.

``check_window`` and ``check_port`` run every check; a check raises AssertionError with the promise that is broken.
``WINDOW_CHECKS`` and ``PORT_CHECKS`` list the checks, for the table of a test runner.  No check needs a test
framework; none needs root unless the backend does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from vnetcard.errors import Closed, WindowUnavailable
from vnetcard.port import Port, frames_of, rings_of
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo
from vnetcard.window import KINDS, Window, WindowUrl

PACKET_SIZES = (20, 21, 63, 64, 65, 576, 1280, 1499, 1500)
"""Sizes in bytes of the IP packets that ``check_port`` sends, behind an Ethernet header where the port has frames."""
_TO_ALL = bytes.fromhex("ffffffffffff 02005e000001 0800")
TIMEOUT = 5.0
"""Seconds after which a packet that has not arrived counts as lost."""


class OpenWindow(Protocol):
    """Opens one window, always the same, for either side: ``open_one(HOST)``, ``open_one(CARD)``."""

    def __call__(self, side: int, /) -> Window:
        """Open, or create, the window for ``side``; as ``vnetcard.window.open_window`` does."""


class Far(Protocol):
    """The other side of a port: a network stack or a socket.  IP packets or frames, as on the interface."""

    def send(self, packet: bytes, /) -> object:
        """Send ``packet`` to the port, from whose descriptor or rings it is then read."""

    def recv(self, size: int, /) -> bytes:
        """The next packet that was written to the port; TimeoutError or BlockingIOError if there is none."""


class NearAndFar(NamedTuple):
    """A newly opened port, and its other side."""

    port: Port
    far: Far


OpenPort = Callable[[], NearAndFar]
"""Opens a port with carrier, to which nothing else sends packets; the check closes it."""


def check_window(open_one: OpenWindow) -> None:
    """Run all of WINDOW_CHECKS; AssertionError names the promise that the backend does not keep."""
    for check in WINDOW_CHECKS:
        check(open_one)


def check_port(open_one: OpenPort) -> None:
    """Run all of PORT_CHECKS; AssertionError names the promise that the backend does not keep."""
    for check in PORT_CHECKS:
        check(open_one)


def _promise(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


# --- windows -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _both(open_one: OpenWindow) -> Iterator[tuple[Window, Window]]:
    with contextlib.closing(open_one(L.HOST)) as host, contextlib.closing(open_one(L.CARD)) as card:
        yield host, card


def both_sides_see_one_geometry(open_one: OpenWindow) -> None:
    """Creating and attaching agree, and the memory holds what the geometry says."""
    with _both(open_one) as (host, card):
        _promise(host.geometry == card.geometry, f"geometries differ: {host.geometry} and {card.geometry}")
        _promise(host.geometry.instance != 0, "the instance is never 0")
        for window in (host, card):
            ends = [ring.offset + ring.size for pair in window.geometry.rings for ring in pair]
            _promise(max(ends) <= window.memory.size, "every ring lies inside the memory")


def stores_cross(open_one: OpenWindow) -> None:
    """The other side loads what one side stores in its own lines."""
    with _both(open_one) as (host, card):
        for mine, peer, side in ((host, card, L.HOST), (card, host, L.CARD)):
            at = L.side_offset(side) + L.SIDE_CONTROL.offset("heartbeat")
            for value in (1, 0xFFFF_FFFF, 0x0102_0304, 0):
                mine.memory.store32(at, value)
                deadline = time.monotonic() + TIMEOUT
                while peer.memory.load32(at) != value:
                    _promise(time.monotonic() < deadline, f"{value:#x} stored at {at:#x} does not reach the peer")


def packets_cross(open_one: OpenWindow) -> None:
    """A FIFO over the window carries packets in both directions, also across the end of the ring."""
    with _both(open_one) as (host, card):
        for direction, sender, receiver in (("h2c", host, card), ("c2h", card, host)):
            push = Fifo(sender.memory, sender.geometry, direction, role="producer")
            pop = Fifo(receiver.memory, receiver.geometry, direction, role="consumer")
            with contextlib.closing(push), contextlib.closing(pop):
                push.reset()
                pop.reset()
                for n in range(64):
                    packet = os.urandom(1 + n * push.frame_max // 160)
                    _promise(push.try_push(packet), f"{direction}: an empty ring accepted no packet")
                    _promise(pop.try_pop() == packet, f"{direction}: packet {n} of {len(packet)} bytes was changed")


def side_belongs_to_one_opener(open_one: OpenWindow) -> None:
    """A second opener of a side is refused, and the error names the pid of the first; the other side stays free."""
    with contextlib.closing(open_one(L.HOST)):
        try:
            open_one(L.HOST).close()
        except WindowUnavailable as error:
            _promise(str(os.getpid()) in str(error), f"the refusal does not name pid {os.getpid()}: {error}")
        else:
            raise AssertionError("a side that is taken was opened again")
        open_one(L.CARD).close()


def refused_opener_harms_nothing(open_one: OpenWindow) -> None:
    """After a refusal the first opener still has its side, and the window works."""
    with _both(open_one) as (host, card):
        for side in (L.HOST, L.CARD, L.HOST, L.CARD):
            with contextlib.suppress(WindowUnavailable):
                open_one(side).close()
                raise AssertionError("a refusal released the side that it was about")
        _promise(host.vanished() is None and card.vanished() is None, "a refused opener removed the window")


def url_is_canonical(open_one: OpenWindow) -> None:
    """Both sides have the same URL for the window, without a size, and parsing does not change it."""
    with _both(open_one) as (host, card):
        _promise(host.url == card.url, f"two names for one window: {host.url} and {card.url}")
        kind, colon, place = host.url.partition(":")
        _promise(bool(kind and colon and place) and "+" not in place, f"{host.url} is not KIND:PLACE without a size")
        if kind in KINDS:
            _promise(str(WindowUrl.parse(host.url)) == host.url, f"{host.url} changes when it is parsed")


def side_is_free_after_close(open_one: OpenWindow) -> None:
    """``close`` frees the side and is idempotent, and a restarted side finds the peer's window again."""
    with contextlib.closing(open_one(L.CARD)) as card:
        for _ in range(3):
            host = open_one(L.HOST)
            _promise(host.geometry == card.geometry, "a side that restarts finds another window than its peer")
            host.close()
            host.close()
        _promise(card.vanished() is None, "the window vanished while one side still had it")


def live_window_has_not_vanished(open_one: OpenWindow) -> None:
    """``vanished`` returns None while the window is in use."""
    with _both(open_one) as (host, card):
        for window in (host, card, host, card):
            _promise(window.vanished() is None, f"a window in use has vanished: {window.vanished()}")


WINDOW_CHECKS: tuple[Callable[[OpenWindow], None], ...] = (
    both_sides_see_one_geometry,
    stores_cross,
    packets_cross,
    side_belongs_to_one_opener,
    refused_opener_harms_nothing,
    url_is_canonical,
    side_is_free_after_close,
    live_window_has_not_vanished,
)


# --- ports -------------------------------------------------------------------------------------------


def _packet(size: int, mark: int) -> bytes:
    """An IPv4 packet of ``size`` bytes between two test networks, protocol 253 (RFC 3692: experiments)."""
    head = (
        bytes([0x45, 0])
        + size.to_bytes(2, "big")
        + bytes([0, mark, 0, 0, 64, 253, 0, 0, 198, 51, 100, 1, 192, 0, 2, 1])
    )
    words = sum(int.from_bytes(head[n : n + 2], "big") for n in range(0, 20, 2))
    checksum = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    return head[:10] + checksum.to_bytes(2, "big") + head[12:] + bytes((mark + n) & 0xFF for n in range(size - 20))


def _read_once(port: Port) -> bytes:
    """As os.read() of a message port."""
    rings = rings_of(port)
    return os.read(port.fds[0], 1 << 17) if rings is None else rings.read()


def _write(port: Port, packet: bytes) -> None:
    rings = rings_of(port)
    if rings is None:
        os.write(port.fds[0], packet)
    else:
        rings.write(packet)


def _read(port: Port) -> bytes:
    deadline = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(BlockingIOError):
            return _read_once(port)
        _promise(time.monotonic() < deadline, "a packet sent to the port cannot be read from it")
        time.sleep(0.001)


def _on(port: Port, size: int, mark: int) -> bytes:
    """As ``_packet``, as the port has it: in an Ethernet frame, or not."""
    return (_TO_ALL if frames_of(port) == L.FRAMES["ETHERNET"] else b"") + _packet(size, mark)


def _packets(port: Port) -> list[bytes]:
    return [_on(port, size, n) for n, size in enumerate(PACKET_SIZES)]


def _header(port: Port) -> bytes:
    return bytes(L.VNET_HDR) if port.vnet else b""


@contextlib.contextmanager
def _opened(open_one: OpenPort) -> Iterator[NearAndFar]:
    pair = open_one()
    with contextlib.closing(pair.port):
        yield pair


def descriptor_is_non_blocking_and_not_inherited(open_one: OpenPort) -> None:
    """Reading an empty port raises BlockingIOError; a child process does not get the descriptor."""
    with _opened(open_one) as (port, _):
        _promise(not os.get_blocking(port.fds[0]), "the descriptor is blocking")
        _promise(not os.get_inheritable(port.fds[0]), "the descriptor is inheritable")
        _promise(bool(port.name), "the port has no name")
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"a port just opened holds {len(_read_once(port))} bytes")


def each_read_is_one_whole_packet(open_one: OpenPort) -> None:
    """One read returns one packet, in order and unchanged, after a virtio_net_hdr where ``vnet`` is True."""
    with _opened(open_one) as (port, far):
        packets = _packets(port)
        for packet in packets:
            far.send(packet)
        for packet in packets:
            got = _read(port)
            _promise(got[len(_header(port)) :] == packet, f"{len(packet)} bytes were sent, {len(got)} read, or changed")


def each_write_is_one_whole_packet(open_one: OpenPort) -> None:
    """One write takes one packet, in order and unchanged."""
    with _opened(open_one) as (port, far):
        packets = _packets(port)
        for packet in packets:
            _write(port, _header(port) + packet)
        for packet in packets:
            got = far.recv(1 << 17)
            _promise(got == packet, f"{len(packet)} bytes were written, {len(got)} came out, or changed")


def offloads_are_known_kinds_and_probing_leaves_nothing(open_one: OpenPort) -> None:
    """``probe_offload`` names features of layout.FEATURES; ``set_offload`` accepts those that it allows."""
    with _opened(open_one) as (port, far):
        for _ in range(2):
            verdicts = port.probe_offload()
            _promise(set(verdicts) <= set(L.FEATURES), f"unknown kinds: {sorted(set(verdicts) - set(L.FEATURES))}")
        allowed = sum(L.FEATURES[kind] for kind, why in verdicts.items() if not why)
        for features in (allowed, 0, allowed & L.FEATURES["CSUM"], 0):
            port.set_offload(features)
        packet = _on(port, 100, 7)
        far.send(packet)
        _promise(_read(port)[len(_header(port)) :] == packet, "after probing, the port delivers another packet")


def packets_are_read_from_the_queues_in_use(open_one: OpenPort) -> None:
    """Every queue has its own descriptor; with one queue in use all packets are read from the first."""
    with _opened(open_one) as (port, far):
        _promise(len(set(port.fds)) == len(port.fds) >= 1, "two queues have one descriptor, or there is none")
        for count in (len(port.fds), 1, 1):
            port.use_queues(count)
        far.send(_on(port, 100, 5))
        _promise(_read(port)[len(_header(port)) :] == _on(port, 100, 5), "with one queue in use a packet was lost")


def carrier_can_be_set_at_any_time(open_one: OpenPort) -> None:
    """``set_carrier`` is idempotent, and with carrier the port carries packets."""
    with _opened(open_one) as (port, far):
        for up in (False, False, True, True):
            port.set_carrier(up)
        _write(port, _header(port) + _on(port, 64, 1))
        _promise(far.recv(1 << 17) == _on(port, 64, 1), "with carrier up again a packet was lost")


def close_frees_the_descriptor(open_one: OpenPort) -> None:
    """After ``close``, which is idempotent, the descriptor is closed, and the port can be opened again."""
    for _ in range(3):
        port = open_one().port
        fd = port.fds[0]
        port.close()
        with contextlib.suppress(OSError):
            os.fstat(fd)
            raise AssertionError("the descriptor is still open after close()")
        with contextlib.suppress(Closed):
            port.close()


PORT_CHECKS: tuple[Callable[[OpenPort], None], ...] = (
    descriptor_is_non_blocking_and_not_inherited,
    each_read_is_one_whole_packet,
    each_write_is_one_whole_packet,
    offloads_are_known_kinds_and_probing_leaves_nothing,
    packets_are_read_from_the_queues_in_use,
    carrier_can_be_set_at_any_time,
    close_frees_the_descriptor,
)
