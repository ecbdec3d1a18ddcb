"""One record cannot make the kernel cut it into any number of segments."""

from __future__ import annotations

import mmap
import os
import select
import struct
import time
from collections.abc import Iterator

import pytest

from tests.unit.link_harness import Journal
from tests.unit.memories import new_memory
from vnetcard._core import Memory
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.offload_probe import probe_packet
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end
from vnetcard.ring.geometry import Geometry

ALL = sum(L.FEATURES[name] for name in L.OFFLOADS)
WINDOW = 1 << 20
LIMIT = 60.0
"""Seconds for what takes milliseconds."""


class Station:
    """One side with pumps and a socket in place of a TUN, ticked by the test."""

    def __init__(self, memory: Memory, geometry: Geometry, side: int) -> None:
        self.port = PairPort(f"side{side}")
        self.port.vnet = True
        self.attention = os.eventfd(0, os.EFD_NONBLOCK)
        self.endpoints = PumpEndpoints(
            memory, geometry, side, self.port, attention_fd=self.attention, wait="sleep", futex=True
        )
        self.link = Link(memory, side, self.endpoints, Journal(), Offer(ALL, 1500))
        self.link.start()

    def close(self) -> None:
        self.link.stop()
        self.endpoints.close()
        self.port.close()
        os.close(self.attention)


@pytest.fixture
def memory() -> Memory:
    return new_memory("coherent", mmap.mmap(-1, WINDOW))


@pytest.fixture
def sides(memory: Memory) -> Iterator[list[Station]]:
    geometry = Geometry.plan(WINDOW, instance=1, removable=False)
    stations = [Station(memory, geometry, side) for side in (L.HOST, L.CARD)]
    deadline = time.monotonic() + LIMIT
    while not all(one.link.state is LinkState.RUN for one in stations):
        assert time.monotonic() < deadline
        for one in stations:
            one.link.tick()
    yield stations
    for one in stations:
        one.close()


def super_packet(kind: str, size: int, segments: int) -> bytes:
    """A whole super-packet of ``kind`` with about as many segments of ``size`` bytes."""
    good = probe_packet(kind)
    packet = good[L.VNET_HDR :]
    return good[:4] + struct.pack("<H", size) + good[6 : L.VNET_HDR] + packet.ljust(size * segments, b"\0")


def arrives(memory: Memory, sides: list[Station], packet: bytes) -> bool:
    """Whether the host's pump gives ``packet`` of the card to its port; if not, it is counted under drop_segments."""
    before = read_end(memory, "c2h", tx=False).ledger["drop_segments"]
    sides[L.CARD].port.far.send(packet)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if select.select([sides[L.HOST].port.far], [], [], 0.001)[0]:
            assert sides[L.HOST].port.far.recv(L.FRAME_MAX) == packet
            return True
        if read_end(memory, "c2h", tx=False).ledger["drop_segments"] == before + 1:
            return False
    raise AssertionError("neither delivered nor dropped")


@pytest.mark.parametrize("kind", ["TSO4", "TSO6", "USO4", "USO6"])
def test_record_of_too_many_segments_is_dropped(memory: Memory, sides: list[Station], kind: str) -> None:
    assert arrives(memory, sides, super_packet(kind, 1448, 45)), "an honest one"
    assert arrives(memory, sides, super_packet(kind, 64, 512))
    assert not arrives(memory, sides, super_packet(kind, 64, 514))
    assert not arrives(memory, sides, super_packet(kind, 1, 65_000))
    assert arrives(memory, sides, super_packet(kind, 20, 63)), "keystrokes that a forwarding host has merged"
    assert arrives(memory, sides, super_packet(kind, 36, 355)), "TCP with timestamps, whose device was deleted"
    assert arrives(memory, sides, super_packet(kind, 8, 100)), "the smallest segments of a large write"
    assert not arrives(memory, sides, super_packet(kind, 7, 100))
    assert not arrives(memory, sides, super_packet(kind, 8, 514))
    assert read_end(memory, "c2h", tx=False).unaccounted == 0
    assert len(sides[L.HOST].endpoints.rx.samples[5][2]) > 0, "the sample is that of this drop"
    sides[L.HOST].endpoints.rx.segments_max = 64
    assert arrives(memory, sides, super_packet(kind, 900, 64))
    assert not arrives(memory, sides, super_packet(kind, 900, 66))


def test_bound_has_a_range(sides: list[Station]) -> None:
    rx = sides[L.HOST].endpoints.rx
    for value in (0, -1, 1 << 20, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            rx.segments_max = value
    assert rx.segments_max == 512
