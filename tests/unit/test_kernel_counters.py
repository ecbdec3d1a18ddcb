"""The kernel's tables as text, and what of the rings is still there of packets that came a moment ago."""

from __future__ import annotations

import ipaddress
import mmap
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.memories import KINDS, new_memory
from vnetcard.agent.recent_packets import HEAD_BYTES, RecentPackets
from vnetcard.port.kernel_counters import DroppingSocket, parse_sockets, parse_table
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo, locate
from vnetcard.ring.geometry import Geometry
from vnetcard.ring.geometry import Ring as Place

WINDOW, RING = 16 << 10, 4 << 10
GEOMETRY = Geometry(WINDOW, ((Place(0x2000, RING), Place(0x3000, RING)),), instance=1, removable=False)
UDP_HEAD = (
    "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops\n"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Ip: InAddrErrors OutNoRoutes\nIp: 3 4\nUdp: NoPorts\nUdp: 5\n",
            {"Ip.InAddrErrors": 3, "Ip.OutNoRoutes": 4, "Udp.NoPorts": 5},
        ),
        ("Ip6InReceives                   \t7\nUdp6NoPorts\t8\n", {"Ip6InReceives": 7, "Udp6NoPorts": 8}),
        ("Tcp: MaxConn\nTcp: -1\n", {"Tcp.MaxConn": -1}),
        ("Ip: A B\nIp: 1\n", {"Ip.A": 1}),
        ("Ip: A\n", {}),
        ("Ip: A\nIp: x\n\nword\nword x y\n", {"word": 0}),
        ("", {}),
    ],
)
def test_tables_of_proc_are_read_by_name(text: str, found: dict[str, int]) -> None:
    assert parse_table(text) == found


def test_sockets_that_dropped_datagrams_are_read_from_proc() -> None:
    line = " 1: {}:1451 0:0 07 0:0 00:0 0 0 0 4711 2 0 {}\n"
    text = UDP_HEAD + line.format("050A0A0A", 9) + line.format("00000000", 0) + "cut off"
    assert list(parse_sockets(text)) == [DroppingSocket(ipaddress.ip_address("10.10.10.5"), 5201, 4711, 9)]
    text = UDP_HEAD + line.format("000000FD000000000000000005000000", 2)
    assert [str(one.address) for one in parse_sockets(text)] == ["fd00::5"]


# --- recent packets ------------------------------------------------------------------------------------


class Ring:
    """One window in this process, of which a test fills the ring to the card."""

    def __init__(self, kind: str) -> None:
        self.memory = new_memory(kind, mmap.mmap(-1, WINDOW))
        self.fifo = Fifo(self.memory, GEOMETRY, "h2c", role="both")
        self.end = locate(GEOMETRY, "h2c", "consumer")
        self.now = 0.0
        window: Any = SimpleNamespace(memory=self.memory, geometry=GEOMETRY)
        self.recent = RecentPackets(window, L.CARD, lambda: self.now)

    def carry(self, *packets: bytes) -> None:
        for packet in packets:
            assert self.fifo.try_push(packet)
            assert self.fifo.try_pop() == packet

    def heads(self, *, fresh: bool) -> list[bytes]:
        return [head for is_fresh, head in self.recent.heads() if is_fresh is fresh]


@pytest.fixture(params=KINDS)
def ring(request: pytest.FixtureRequest) -> Ring:
    return Ring(request.param)


def test_packets_are_found_after_they_were_delivered_fresh_ones_apart(ring: Ring) -> None:
    ring.carry(b"a" * 20, b"b" * 200)
    assert ring.heads(fresh=True) == [b"a" * 20, b"b" * HEAD_BYTES]
    ring.recent.mark()
    ring.now = 1.0
    ring.recent.mark()
    ring.carry(b"c" * 21)
    assert ring.heads(fresh=True) == [b"c" * 21]
    assert ring.heads(fresh=False) == [b"a" * 20, b"b" * HEAD_BYTES]


def test_packets_of_every_queue_are_found() -> None:
    a, b, c, d = (Place(0x2000 + RING * n, RING) for n in range(4))
    geometry = Geometry(0x2000 + 4 * RING, ((a, b), (c, d)), instance=1, removable=False)
    memory = new_memory("coherent", mmap.mmap(-1, geometry.window_bytes))
    window: Any = SimpleNamespace(memory=memory, geometry=geometry)
    recent = RecentPackets(window, L.HOST)
    for queue in range(2):
        Fifo(memory, geometry, "c2h", role="both", queue=queue).try_push(b"q%d" % queue)
        Fifo(memory, geometry, "h2c", role="both", queue=queue).try_push(b"own packets are not received ones")
    assert [head for _, head in recent.heads()] == [b"q0", b"q1"]


def test_virtio_header_is_not_part_of_a_head(ring: Ring) -> None:
    ring.fifo.try_push(bytes(L.VNET_HDR) + b"p" * 30, hdr_len=L.VNET_HDR)
    assert ring.heads(fresh=True) == [b"p" * 30]


def test_packet_over_the_end_of_the_ring_is_found(ring: Ring) -> None:
    for n in range(200):
        ring.recent.mark()
        ring.carry(bytes([n]) * 150)
        assert ring.heads(fresh=True)[-1] == bytes([n]) * HEAD_BYTES


def test_latest_packets_are_found_where_earlier_ones_are_overwritten(ring: Ring) -> None:
    ring.recent.mark()
    ring.carry(*(bytes([n]) * (n * 37 % 900 + 1) for n in range(200)))  # more than the ring holds
    found = ring.heads(fresh=True)
    assert found
    assert found == [bytes([n]) * min(n * 37 % 900 + 1, HEAD_BYTES) for n in range(200 - len(found), 200)]
    assert ring.heads(fresh=False) == []


@pytest.mark.parametrize("value", [0, 1, 63, 0x4141_4141, 0xFFFF_FFFF])
def test_nothing_that_a_peer_writes_into_the_ring_is_believed(ring: Ring, value: int) -> None:
    ring.carry(b"a" * 20)
    for at in range(0, RING, 8):
        ring.memory.write(ring.end.ring.offset + at, value.to_bytes(4, "little") * 2)
    for prod in (0, 64, 128, 7, value):
        ring.memory.store32(ring.end.peer, prod)
        assert all(len(head) <= HEAD_BYTES for _, head in ring.recent.heads())
