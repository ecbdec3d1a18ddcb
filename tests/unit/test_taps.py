"""Taps: pumps write an event for each stage of a packet, in order, and never delay packets for a reader."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

import pytest

from tests.unit.memories import KINDS
from tests.unit.pump_harness import PEER_EPOCH, Host
from vnetcard import _core
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Event, Reader, Segment, TapRequest

ALL = T.mask(tuple(T.STAGES))
PACKETS = T.mask(T.PACKET_STAGES)
TX = ["READ", "COMMIT", "PUBLISH"]
RX = ["PEEK", "WRITE", "RELEASE"]


class TappedHost(Host):
    """A host with a tap, and its reader."""

    def __init__(self, kind: str, request: TapRequest) -> None:
        super().__init__(kind=kind)
        self.segment = Segment(L.HOST, request)
        self.reader = Reader(self.segment.fd)
        self.tap()

    def tap(self, *others: Segment) -> None:
        taps = [segment.taps[0] for segment in (self.segment, *others)]
        self.endpoints.tap(tuple(tx for tx, _ in taps), tuple(rx for _, rx in taps))

    def events(self, until: Callable[[list[Event]], bool]) -> list[Event]:
        """The events once ``until`` accepts them: pumps write shortly after the packet has moved."""
        found: list[Event] = []
        deadline = time.monotonic() + 10
        while not until(found) and time.monotonic() < deadline:
            found += self.reader.drain()
        return found

    def close(self) -> None:
        super().close()
        self.reader.close()
        self.segment.close()


@pytest.fixture(params=KINDS)
def tapped(request: pytest.FixtureRequest) -> Iterator[TappedHost]:
    host = TappedHost(request.param, TapRequest(ALL, PACKETS, 2048))
    yield host
    host.close()


def several(count: int) -> Callable[[list[Event]], bool]:
    return lambda found: len(found) >= count


def test_sent_packet_is_read_committed_and_published_in_this_order(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    tapped.take(2)
    events = tapped.events(several(6))
    assert [(event.stage, event.seq) for event in events] == [(stage, seq) for seq in (0, 1) for stage in TX]
    assert {(event.side, event.direction, event.epochs) for event in events} == {(L.HOST, "h2c", (7, 9))}
    times = [time for event in events for time in (event.before, event.time) if time]
    assert times == sorted(times)
    assert [event.data for event in events] == [b"E packet", b"E packet", b""] * 2
    assert [event.index for event in events if event.stage == "PUBLISH"] == [64, 128]


def test_received_packet_is_peeked_written_and_released_in_this_order(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    tapped.deliver(2)
    events = tapped.events(several(6))
    assert [(event.stage, event.seq) for event in events] == [(stage, seq) for seq in (0, 1) for stage in RX]
    assert {(event.direction, event.epochs, event.drop_name) for event in events} == {("c2h", (7, 9), "")}
    assert [event.data for event in events] == [b"E packet", b"E packet", b""] * 2


def test_packet_dropped_before_it_is_a_record_is_noted_with_its_drop(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    tapped.take(1)
    tapped.endpoints.hold()
    tapped.endpoints.drop(peer_dead=True)
    tapped.port.far.send(b"E no peer")
    *_, last = tapped.events(several(4))
    assert (last.stage, last.drop_name, last.data) == ("READ", "drop_peer_dead", b"E no peer")
    assert last.flags & T.FLAGS["NOSEQ"]


def test_packet_that_is_too_big_is_noted_up_to_what_was_read(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    tapped.port.far.send(b"E" + bytes(1999))
    (event,) = tapped.events(several(1))
    assert (event.drop_name, event.length, event.data) == ("drop_too_big", 1501, b"E" + bytes(1499))


def test_bytes_are_kept_up_to_the_snap_length_and_only_where_asked(tapped: TappedHost) -> None:
    segment = Segment(L.HOST, TapRequest(ALL, T.mask(("READ",)), 3))
    reader = Reader(segment.fd)
    tapped.tap(segment)
    tapped.begin(7, 9)
    tapped.take(1)
    tapped.events(several(3))
    assert [(event.stage, event.length, event.data) for event in reader.drain()] == [
        ("READ", 8, b"E p"),
        ("COMMIT", 8, b""),
        ("PUBLISH", 1, b""),
    ]
    tapped.endpoints.tap((), ())
    reader.close()
    segment.close()


def test_sample_is_the_same_records_at_every_stage() -> None:
    host = TappedHost("coherent", TapRequest(ALL, sample=3))
    host.begin(7, 9)
    host.take(7)
    events = host.events(several(9))
    host.close()
    assert [(event.stage, event.seq) for event in events] == [(stage, seq) for seq in (0, 3, 6) for stage in TX]


def test_pump_without_taps_writes_no_events(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    tapped.take(1)
    assert len(tapped.events(several(3))) == 3
    tapped.endpoints.tap((), ())
    tapped.take(5)
    tapped.deliver(5)
    assert list(tapped.reader.drain()) == []
    assert tapped.reader.missed == 0


def test_idle_reader_misses_events_and_delays_no_packet() -> None:
    host = TappedHost("coherent", TapRequest(ALL, PACKETS, 2048, ring_bytes=T.RING_MIN))
    host.begin(7, 9)
    host.take(2000)
    found = host.events(several(1))
    assert host.reader.missed > 0
    assert host.reader.noted + host.reader.missed == 6000
    assert len(found) == host.reader.noted
    host.take(1)
    assert [event.seq for event in host.events(several(3))] == [2000] * 3
    host.close()


def test_packets_are_whole_when_the_ring_wraps() -> None:
    host = TappedHost("coherent", TapRequest(ALL, PACKETS, 2048, ring_bytes=T.RING_MIN))
    host.begin(7, 9)
    for n in range(600):
        packet = b"E" + n.to_bytes(2, "little") * (n + 1)
        host.port.far.send(packet)
        while host.from_host.try_pop() is None:
            pass
        events = host.events(several(3))
        assert [event.data for event in events] == [packet, packet, b""], n
    host.close()


@pytest.mark.parametrize("cons", [1, 64, 0x8000_0000, 0xFFFF_FFC0, 0xFFFF_FFFF])
def test_impossible_index_of_the_reader_harms_only_the_reader(tapped: TappedHost, cons: int) -> None:
    tapped.begin(7, 9)
    for line in ("tx_cons", "rx_cons"):
        tapped.segment._memory.store32(T.LINES[line], cons)
    tapped.take(100)
    tapped.deliver(100)
    assert tapped.reader.noted + tapped.reader.missed >= 300


def test_tap_is_added_and_removed_a_thousand_times_without_a_violation(tapped: TappedHost) -> None:
    tapped.begin(7, 9)
    for n in range(1000):
        tapped.tap() if n % 2 else tapped.endpoints.tap((), ())
        if n % 50 == 0:
            tapped.take(1)
            tapped.deliver(1)
    assert tapped.endpoints.take_events() == 0


def test_new_epoch_stops_a_pump_also_while_taps_change() -> None:
    """The pump's own stop and a command that comes in the same instant: the stop must win."""
    host = TappedHost("coherent", TapRequest(ALL))
    for n in range(200):
        host.begin(2 * n + 1, 2 * n + 2)
        host.peer.store32(PEER_EPOCH, 5000)
        assert host.to_host.try_push(b"E stale packet")
        for _ in range(5):
            host.endpoints.tap((), ())
        assert select.select([host.attention], [], [], 10)[0]
        os.eventfd_read(host.attention)
        deadline = time.monotonic() + 10
        while host.endpoints.rx.mode != _core.HOLD:
            assert time.monotonic() < deadline, "the pump goes on under another epoch"
        assert not select.select([host.port.far], [], [], 0)[0], "a packet of another epoch was delivered"
    host.close()


def test_segment_cannot_be_made_smaller_by_its_reader() -> None:
    segment = Segment(L.HOST, TapRequest(ALL))
    with pytest.raises(OSError, match="not permitted"):
        os.truncate(segment.fd, 4096)
    segment.close()


# --- the agent's registry --------------------------------------------------------------------------------


def test_segment_whose_reader_is_gone_before_a_pump_has_it_is_closed(tapped: TappedHost) -> None:
    registry = TapRegistry(L.HOST, lambda: None)
    lease = registry.lend(TapRequest(ALL).as_question())
    assert not isinstance(lease, dict)
    lease.end()
    registry.settle([tapped.endpoints])
    with pytest.raises(OSError):
        os.fstat(lease.fd)


def test_registry_lends_four_segments_and_refuses_a_fifth(tapped: TappedHost) -> None:
    registry = TapRegistry(L.HOST, lambda: None)
    leases = [registry.lend(TapRequest(ALL).as_question()) for _ in range(T.TAPS_MAX)]
    assert registry.lend(TapRequest(ALL).as_question()) == {
        "error": "4 readers already tap this agent: end one of them"
    }
    registry.settle([tapped.endpoints])
    readers = [Reader(lease.fd) for lease in leases if not isinstance(lease, dict)]
    assert [reader.state for reader in readers] == ["OPEN"] * T.TAPS_MAX
    tapped.begin(7, 9)
    tapped.take(1)
    for lease in leases:
        assert not isinstance(lease, dict)
        lease.end()
    registry.settle([tapped.endpoints])
    for reader in readers:
        assert [event.stage for event in reader.drain()] == TX
        assert reader.state == "CLOSED"
        reader.close()
    registry.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("sample", 0), ("sample", "1"), ("ring_bytes", 4096), ("ring_bytes", 3 << 20), ("snap", -1), ("stages", None)],
)
def test_request_out_of_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        TapRequest.of(TapRequest(ALL).as_question() | {field: value})
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
