"""Datagrams of one UDP flow that wait in the ring are written together, and remain what they were (vnc_merge.h)."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from tests.harness.restarts import chance, until
from tests.harness.super_packets import NEEDS_CSUM, UDP_L4, checksum
from tests.unit.pump_harness import Host
from vnetcard import _core
from vnetcard.ring import layout as L
from vnetcard.tap.gso import segments

FEATURES = sum(L.FEATURES[name] for name in ("CSUM", "USO4", "USO6"))
MOST = 64
"""Datagrams of one write."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What all datagrams of a flow have in common."""

    version: int = 4
    source: int = 1
    port: int = 5000
    dscp: int = 0
    ttl: int = 64
    fragment: int = 0x4000  # don't fragment
    ethernet: bool = False

    def datagram(self, payload: bytes, identity: int = 0) -> bytes:
        """A record: virtio_net_hdr and packet, with a partial checksum."""
        udp = struct.pack("!HHH", self.port, 7, 8 + len(payload))
        if self.version == 4:
            addresses = bytes((10, 0, 0, self.source, 10, 0, 0, 99))
            head = struct.pack(
                "!BBHHHBBH", 0x45, self.dscp, 28 + len(payload), identity, self.fragment, self.ttl, 17, 0
            )
            ip = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
        else:
            addresses = bytes(15) + bytes((self.source,)) + bytes(15) + b"\x63"
            ip = struct.pack("!IHBB", 6 << 28 | self.dscp << 20, 8 + len(payload), 17, self.ttl) + addresses
        partial = ~checksum(addresses + struct.pack("!HH", 17, 8 + len(payload))) & 0xFFFF
        lead = bytes(range(12)) + (b"\x08\x00" if self.version == 4 else b"\x86\xdd") if self.ethernet else b""
        vnet = struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, len(lead + ip), 6)
        return vnet + lead + ip + udp + struct.pack("!H", partial) + payload


class Sink:
    """A host whose rx pump moves what waits in the ring at once, and the messages that its port was given."""

    def __init__(self, ethernet: bool, kind: str = "coherent") -> None:
        self.ethernet = ethernet
        self.host = Host(kind=kind, frames=L.FRAMES["ETHERNET" if ethernet else "IP"])
        self.host.port.vnet = True
        self.host.endpoints.close()
        self.host.reopen()
        self.rx = self.host.endpoints.rx
        self.rx.merge = _core.MERGE_UDP | _core.MERGE_TCP4 | _core.MERGE_TCP6
        self.begin(FEATURES)

    def begin(self, features: int) -> None:
        self.host.begin(1, 2)
        self.host.endpoints.hold()
        self.host.endpoints.reset()
        self.host.to_host.reset()
        self.host.endpoints.begin(own_epoch=1, peer_epoch=2, features=features, packet_max=1518)

    def messages(self, records: list[bytes]) -> list[bytes]:
        """Let ``records`` wait in the ring, then move them."""
        before = self.count("rx_received")
        for record in records:
            assert self.push(record)
        self.rx.command(_core.RUN)
        found: list[bytes] = []
        until(lambda: not self._take(found) and self.count("rx_received") == before + len(records), "all are moved")
        while self._take(found):
            pass
        self.rx.command(_core.HOLD)
        return found

    def push(self, record: bytes) -> bool:
        """Whether the ring had room for ``record``, which begins with its virtio_net_hdr."""
        return self.host.to_host.try_push(record, hdr_len=L.VNET_HDR)

    def _take(self, found: list[bytes]) -> bool:
        """Whether there was a message."""
        with contextlib.suppress(BlockingIOError):
            found.append(self.host.port.far.recv(1 << 17, socket.MSG_DONTWAIT))
            return True
        return False

    def count(self, word: str) -> int:
        return self.rx.ledger[L.RX_LEDGER.index(word)]


Open = Callable[..., Sink]


@pytest.fixture
def open_sink() -> Iterator[Open]:
    with contextlib.ExitStack() as opened:

        def make(*, ethernet: bool = False, kind: str = "coherent") -> Sink:
            sink = Sink(ethernet, kind)
            opened.callback(sink.host.close)
            return sink

        yield make


def packets_of(message: bytes, flow: Flow) -> list[bytes]:
    """The datagrams that ``message`` stands for, with whole checksums."""
    return segments(message[L.VNET_HDR :], message[: L.VNET_HDR], lead=14 if flow.ethernet else 0)


def numbered(flow: Flow, sizes: list[int], first: int = 0) -> list[bytes]:
    """A datagram of each size, with identifications that count up from ``first``."""
    return [flow.datagram(bytes([n]) * size, (first + n) & 0xFFFF) for n, size in enumerate(sizes)]


FLOWS = [Flow(version, fragment=fragment, ethernet=ethernet)
         for version, fragment in ((4, 0x4000), (4, 0), (6, 0)) for ethernet in (False, True)]  # fmt: skip


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("sizes", [[64] * 20, [64] * 5 + [10], [1], [1] * 3, [1400] * 6 + [3]], ids=str)
def test_datagrams_of_a_flow_are_one_message(open_sink: Open, flow: Flow, sizes: list[int]) -> None:
    sink = open_sink(ethernet=flow.ethernet)
    records = numbered(flow, sizes, first=0xFFFE)
    (message,) = sink.messages(records)
    assert packets_of(message, flow) == [packet for record in records for packet in packets_of(record, flow)]
    if len(sizes) > 1:
        flags, kind, head, size, start, offset = struct.unpack("<BBHHHH", message[: L.VNET_HDR])
        at = (14 if flow.ethernet else 0) + (20 if flow.version == 4 else 40)
        assert (flags, kind, head, size, start, offset) == (NEEDS_CSUM, UDP_L4, at + 8, sizes[0], at, 6)
    packets = [len(record) - L.VNET_HDR for record in records]
    words = ("rx_received", "rx_delivered", "rx_received_bytes", "rx_delivered_bytes")
    assert [sink.count(word) for word in words] == [len(sizes)] * 2 + [sum(packets)] * 2


OTHERS = {"source": 2, "port": 5001, "dscp": 1, "ttl": 63}


@pytest.mark.parametrize("what", [*OTHERS, "version", "fragment"])
@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_of_another_flow_are_another_message(open_sink: Open, version: int, what: str) -> None:
    flow = Flow(version)
    others = {**OTHERS, "version": 10 - version, "fragment": 0}
    other = replace(flow, **{what: others[what]})  # type: ignore[arg-type]
    records = [*numbered(flow, [50, 50]), *numbered(other, [50, 50]), *numbered(flow, [50])]
    same = version == 6 and what == "fragment"  # IPv6 has no such bit
    assert len(open_sink().messages(records)) == (1 if same else 3)


def test_identifications_that_do_not_count_up_stay_apart(open_sink: Open) -> None:
    flow = Flow(fragment=0)
    identities = [5, 6, 6, 7, 9, 0xFFFF, 0]
    records = [flow.datagram(bytes(80), identity) for identity in identities]
    sizes = [len(message) - L.VNET_HDR - 28 for message in open_sink().messages(records)]
    assert sizes == [160, 160, 80, 160]


def test_larger_datagram_begins_another_message_and_a_smaller_one_ends_it(open_sink: Open) -> None:
    records = numbered(Flow(), [60, 60, 20, 60, 61, 61, 60, 60])
    sizes = [len(message) - L.VNET_HDR - 28 for message in open_sink().messages(records)]
    assert sizes == [140, 60, 182, 60]


def test_no_message_has_more_datagrams_or_bytes_than_a_kernel_makes(open_sink: Open) -> None:
    sink = open_sink()
    flow = Flow()
    sizes = [len(message) - L.VNET_HDR - 28 for message in sink.messages(numbered(flow, [1] * 100))]
    assert sizes == [MOST, 100 - MOST]


def damaged(record: bytes, at: int, value: bytes) -> bytes:
    return record[:at] + value + record[at + len(value) :]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, b"\0"),  # its checksum is whole
        (0, b"\3"),
        (6, b"\x15"),  # csum_start
        (8, b"\x10"),  # csum_offset
        (10, b"\x46"),  # IPv4 options
        (12, b"\0\x5d"),  # total length
        (16, b"\x20"),  # more fragments
        (17, b"\1"),  # a later fragment
        (16, b"\x80"),  # the reserved bit
        (19, b"\x06"),  # TCP
        (34, b"\0\x47"),  # UDP length
    ],
)
def test_what_is_no_plain_datagram_is_left_alone(open_sink: Open, at: int, value: bytes) -> None:
    records = numbered(Flow(), [64] * 4)
    records[1:3] = [damaged(record, at, value) for record in records[1:3]]
    assert open_sink().messages(records) == records


@pytest.mark.parametrize("features", [0b1, 0b1 | 1 << 4], ids=["no USO", "USO6 alone"])
def test_link_without_the_offload_merges_nothing(open_sink: Open, features: int) -> None:
    sink = open_sink()
    sink.begin(features)
    records = numbered(Flow(), [64] * 4)
    assert sink.messages(records) == records


def test_nothing_is_merged_unless_asked_for_nor_out_of_device_memory(open_sink: Open) -> None:
    records = numbered(Flow(), [64] * 4)
    sink = open_sink()
    sink.rx.merge = 0
    assert sink.rx.merge == 0
    assert sink.messages(records) == records
    assert open_sink(kind="device").messages(records) == records


def test_filter_judges_merged_datagrams(open_sink: Open) -> None:
    sink = open_sink()
    sink.rx.filter(allow=[(bytes((10, 0, 0, 1)), 32)], configuration=False)
    records = [*numbered(Flow(), [64] * 4), *numbered(Flow(source=2), [64] * 4), *numbered(Flow(), [64] * 4)]
    assert [len(message) for message in sink.messages(records)] == [L.VNET_HDR + 28 + 256] * 2
    assert (sink.count("drop_source"), sink.count("rx_delivered")) == (4, 8)


def test_port_that_is_full_gets_everything_once_it_has_room(open_sink: Open) -> None:
    sink = open_sink()
    sink.host.port.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    flows = [Flow(port=port) for port in range(5000, 5060)]
    records = [record for flow in flows for record in numbered(flow, [8] * 2)]
    messages = sink.messages(records)
    found = [packet for message in messages for packet in packets_of(message, Flow())]
    assert found == [packet for record in records for packet in packets_of(record, Flow())]


def test_any_mixture_arrives_in_order_and_unchanged(open_sink: Open) -> None:
    rng = chance()
    sink = open_sink()
    for _ in range(30):
        records: list[bytes] = []
        while len(records) < 40:
            flow = Flow(rng.choice((4, 6)), source=rng.choice((1, 2)), fragment=0, ttl=rng.choice((64, 64, 63)))
            size = rng.choice((1, 20, 70, 200))
            sizes = [size] * rng.randint(1, 6) + [rng.randint(1, size)]
            records += [damaged_by(rng, record) for record in numbered(flow, sizes, rng.randrange(1 << 16))]
        found = [packet for message in sink.messages(records) for packet in packets_of(message, Flow())]
        assert found == [packet for record in records for packet in packets_of(record, Flow())]


def damaged_by(rng: random.Random, record: bytes) -> bytes:
    """The same, or now and then with another byte in its packet's payload or ports."""
    return record if rng.random() < 0.9 else damaged(record, len(record) - 1, os.urandom(1))
