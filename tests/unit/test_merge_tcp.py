"""Segments of one TCP connection that wait in the ring are written together, and stay what they were (vnc_merge.h)."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.harness.restarts import chance
from tests.harness.super_packets import NEEDS_CSUM, checksum
from tests.unit.test_merge import FEATURES, MOST, Open, Sink, damaged, open_sink  # noqa: F401 - a fixture
from vnetcard import _core
from vnetcard.ring import layout as L
from vnetcard.tap.gso import segments

ACK, PSH = 0x10, 0x08
STAMPS = b"\x01\x01\x08\x0a" + bytes(range(8))


@dataclass(frozen=True, slots=True)
class Stream:
    """What all segments of one direction of a connection have in common, and whether their checksums are partial."""

    version: int = 4
    source: int = 1
    port: int = 5000
    ttl: int = 64
    fragment: int = 0x4000  # don't fragment
    ack: int = 77
    window: int = 500
    options: bytes = STAMPS
    ethernet: bool = False
    partial: bool = True

    @property
    def lead(self) -> int:
        """Bytes in front of the IP header."""
        return L.ETHERNET_HEADER if self.ethernet else 0

    def segment(self, payload: bytes, seq: int, flags: int = ACK, identity: int = 0, urgent: int = 0) -> bytes:
        """virtio_net_hdr and packet."""
        words = 5 + len(self.options) // 4
        head = struct.pack("!HHIIBB", self.port, 7, seq & 0xFFFF_FFFF, self.ack, words << 4, flags)
        tail = struct.pack("!H", urgent) + self.options
        size = 4 * words + len(payload)
        if self.version == 4:
            addresses = bytes((10, 0, 0, self.source, 10, 0, 0, 99))
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, identity & 0xFFFF, self.fragment, self.ttl, 6, 0)
            ip = ip[:10] + struct.pack("!H", checksum(ip + addresses)) + addresses
        else:
            addresses = bytes(15) + bytes((self.source,)) + bytes(15) + b"\x63"
            ip = struct.pack("!IHBB", 6 << 28, size, 6, self.ttl) + addresses
        pseudo = addresses + struct.pack("!HH", 6, size)
        head += struct.pack("!H", self.window)
        whole = checksum(pseudo + head + b"\0\0" + tail + payload)
        value = ~checksum(pseudo) & 0xFFFF if self.partial else whole
        lead = bytes(range(12)) + (b"\x08\x00" if self.version == 4 else b"\x86\xdd") if self.ethernet else b""
        vnet = struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, len(lead + ip), 16) if self.partial else bytes(L.VNET_HDR)
        return vnet + lead + ip + head + struct.pack("!H", value) + tail + payload

    def run(self, sizes: list[int], seq: int = 1000, identity: int = 9, last: int = PSH) -> list[bytes]:
        """Segments of these sizes that follow each other; the last has the flags ``last`` as well."""
        found = []
        for n, size in enumerate(sizes):
            flags = ACK | (last if n == len(sizes) - 1 else 0)
            found.append(self.segment(bytes([n & 0xFF]) * size, seq, flags, identity + n))
            seq += size
        return found

    def packets(self, message: bytes) -> list[bytes]:
        """The packets that ``message`` stands for, with whole checksums, of which ffff and 0 are the same."""
        found = segments(message[L.VNET_HDR :], message[: L.VNET_HDR], lead=self.lead)
        return [self._canonical(packet) for packet in found]

    def _canonical(self, packet: bytes) -> bytes:
        at = self.lead + (20 if packet[self.lead] >> 4 == 4 else 40) + 16
        return damaged(packet, at, bytes(2)) if packet[at : at + 2] == b"\xff\xff" else packet


def sizes_of(messages: list[bytes], stream: Stream) -> list[int]:
    """Bytes of payload of each message."""
    ip = 20 if stream.version == 4 else 40
    return [len(message) - L.VNET_HDR - stream.lead - ip - 20 - len(stream.options) for message in messages]


class PlainSink(Sink):
    """A link without offloads: its records have no virtio_net_hdr."""

    def __init__(self, ethernet: bool = False) -> None:
        super().__init__(ethernet)
        self.begin(0)

    def push(self, record: bytes) -> bool:
        return self.host.to_host.try_push(record[L.VNET_HDR :], hdr_len=0)


@pytest.fixture(params=[True, False], ids=["partial", "whole"])
def partial(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def sink(open_sink: Open, partial: bool) -> Iterator[Sink]:  # noqa: F811
    """Of IP packets: of a link with checksum offload, or of one with no offload at all."""
    if partial:
        yield open_sink()
    else:
        plain = PlainSink()
        yield plain
        plain.host.close()


STREAMS = [
    Stream(version, fragment=fragment, options=options)
    for version, fragment in ((4, 0x4000), (4, 0), (6, 0))
    for options in (b"", STAMPS, bytes([1]) * 40)
]


@pytest.mark.parametrize("stream", STREAMS, ids=str)
@pytest.mark.parametrize(
    "sizes", [[100] * 20, [700] * 12, [100] * 5 + [7], [1], [1] * 3], ids=["many", "large", "tail", "1", "3"]
)
def test_segments_of_a_stream_are_one_message(sink: Sink, partial: bool, stream: Stream, sizes: list[int]) -> None:
    stream = replace(stream, partial=partial)
    records = stream.run(sizes, seq=0xFFFF_FF00, identity=0xFFFE)
    (message,) = sink.messages(records)
    assert stream.packets(message) == [packet for record in records for packet in stream.packets(record)]
    if len(sizes) > 1:
        flags, kind, head, size, start, offset = struct.unpack("<BBHHHH", message[: L.VNET_HDR])
        at = 20 if stream.version == 4 else 40
        kinds = {4: 1, 6: 4}
        assert (flags, kind, size, start, offset) == (NEEDS_CSUM, kinds[stream.version], sizes[0], at, 16)
        assert head == at + 20 + len(stream.options)
    packets = [len(record) - L.VNET_HDR for record in records]
    words = ("rx_received", "rx_delivered", "rx_received_bytes", "rx_delivered_bytes")
    assert [sink.count(word) for word in words] == [len(sizes)] * 2 + [sum(packets)] * 2


@pytest.mark.parametrize("version", [4, 6])
def test_ethernet_frames_are_merged_too(open_sink: Open, version: int) -> None:  # noqa: F811
    stream = Stream(version, ethernet=True)
    records = stream.run([500] * 6)
    (message,) = open_sink(ethernet=True).messages(records)
    assert stream.packets(message) == [packet for record in records for packet in stream.packets(record)]
    plain = PlainSink(ethernet=True)
    whole = replace(stream, partial=False)
    records = whole.run([500] * 6)
    (message,) = plain.messages(records)
    assert whole.packets(message) == [packet for record in records for packet in whole.packets(record)]
    plain.host.close()


OTHERS = {"source": 2, "port": 5001, "ttl": 63, "ack": 78, "window": 501, "options": STAMPS[:-1] + b"x", "fragment": 0}


@pytest.mark.parametrize("what", OTHERS)
def test_segments_that_a_receiver_could_distinguish_stay_apart(sink: Sink, partial: bool, what: str) -> None:
    stream = Stream(partial=partial)
    other = replace(stream, **{what: OTHERS[what]})  # type: ignore[arg-type]
    records = [
        *stream.run([50, 50], seq=0, identity=0, last=0),
        *other.run([50, 50], seq=100, identity=2, last=0),
        *stream.run([50], seq=200, identity=4),
    ]
    assert sizes_of(sink.messages(records), stream) == [100, 100, 50]


@pytest.mark.parametrize("flags", [0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x00])
def test_other_flags_are_left_alone(sink: Sink, partial: bool, flags: int) -> None:
    stream = Stream(partial=partial)
    records = [
        *stream.run([50, 50], seq=0, last=0),
        stream.segment(bytes(50), 100, flags, 11),
        stream.segment(bytes(50), 150, flags, 12),
        *stream.run([50, 50], seq=200, identity=13),
    ]
    assert sizes_of(sink.messages(records), stream) == [100, 50, 50, 100]


def test_sequence_push_and_size_end_a_message(sink: Sink, partial: bool) -> None:
    stream = Stream(partial=partial)
    pushed = [stream.segment(bytes(10), 10 * n, ACK | (PSH if n in (2, 3) else 0), n) for n in range(8)]
    assert sizes_of(sink.messages(pushed), stream) == [30, 10, 40]
    gaps = [stream.segment(bytes(10), seq, ACK, n) for n, seq in enumerate((0, 10, 30, 40, 40, 50, 45))]
    assert sizes_of(sink.messages(gaps), stream) == [20, 20, 20, 10]
    sizes = stream.run([60, 60, 20, 60, 61, 61, 60, 60])
    assert sizes_of(sink.messages(sizes), stream) == [140, 60, 182, 60]
    urgent = [stream.segment(bytes(10), 10 * n, ACK, n, urgent=n == 2) for n in range(4)]
    assert sizes_of(sink.messages(urgent), stream) == [20, 10, 10]


def test_no_message_has_more_segments_than_a_kernel_makes(sink: Sink, partial: bool) -> None:
    stream = Stream(partial=partial)
    assert sizes_of(sink.messages(stream.run([1] * 100)), stream) == [MOST, 100 - MOST]


def test_segments_without_payload_are_left_alone(sink: Sink, partial: bool) -> None:
    records = Stream(partial=partial).run([0, 0, 0], last=0)
    assert len(sink.messages(records)) == 3


@pytest.mark.parametrize("back", [1, 60, 62, 70, 90])
def test_segment_with_a_wrong_checksum_is_delivered_by_itself(back: int) -> None:
    """As the kernel discards and counts it then, and not what would be merged with it."""
    sink = PlainSink()
    stream = Stream(partial=False)
    records = stream.run([50] * 6)
    at = len(records[3]) - back  # payload, options, checksum, ports, addresses
    records[3] = damaged(records[3], at, bytes([records[3][at] ^ 1]))
    found = sink.messages(records)
    assert sizes_of(found, stream) == [150, 50, 100]
    assert found[1] == records[3]
    sink.host.close()


@pytest.mark.parametrize(("merge", "version"), [(_core.MERGE_UDP, 4), (_core.MERGE_TCP6, 4), (_core.MERGE_TCP4, 6)])
def test_only_what_the_port_takes_is_merged(sink: Sink, partial: bool, merge: int, version: int) -> None:
    sink.rx.merge = merge
    records = Stream(version, partial=partial).run([50] * 4)
    assert sink.messages(records) == records


def test_unknown_kinds_are_refused(open_sink: Open) -> None:  # noqa: F811
    rx = open_sink().rx
    before = rx.merge
    for wrong in (8, 1 << 40):
        with pytest.raises(ValueError, match="merge"):
            rx.merge = wrong
    assert rx.merge == before


def test_any_mixture_arrives_in_order_and_unchanged(sink: Sink, partial: bool) -> None:
    rng = chance()
    for _ in range(40):
        records: list[bytes] = []
        while len(records) < 40:
            stream = Stream(
                rng.choice((4, 6)),
                source=rng.choice((1, 2)),
                fragment=0,
                options=rng.choice((b"", STAMPS)),
                partial=partial,
            )
            size = rng.choice((1, 21, 70, 333))
            sizes = [size] * rng.randint(1, 6) + [rng.randint(1, size)]
            run = stream.run(sizes, rng.randrange(1 << 32), rng.randrange(1 << 16), rng.choice((0, PSH)))
            records += [changed(rng, record) for record in run]
        found = [packet for message in sink.messages(records) for packet in Stream().packets(message)]
        assert found == [packet for record in records for packet in Stream().packets(record)]


def changed(rng: random.Random, record: bytes) -> bytes:
    """The same, or now and then with another byte."""
    if rng.random() < 0.9:
        return record
    at = rng.randrange(L.VNET_HDR + 22, len(record))
    return damaged(record, at, rng.randbytes(1))
