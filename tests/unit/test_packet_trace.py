"""Traces of packets joined from both sides' events; clocks and bottlenecks derived from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port.bpf import Filter
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.geometry import Ring
from vnetcard.ring.tap_shm import Event
from vnetcard.tap import engine_log, packet_trace
from vnetcard.tap.clocks import Clocks, Offset
from vnetcard.tap.packet_trace import PacketTrace, Tracer
from vnetcard.tap.remote import ExportRequest, RecordFilter, decode, encode, excluding, own_flow
from vnetcard.tap.summary import Summary

PING = bytes.fromhex("4500001c00010000400166cc0a0a0a010a0a0a050800f7fe00000001")
UDP = bytes.fromhex("4500001c0001000040116fbf0a0a0a010a0a0a0504d2003500080000")


def event(stage: str, at: int, *, side: int = L.HOST, direction: str = "h2c", **more: object) -> Event:
    """An event of record 5 at ``at`` microseconds."""
    common = Event(side, direction, 0, stage, 0, 0, at * 1000, (1, 2), 5, 28, 0, 0, 0, b"", b"")
    return replace(common, **more)  # type: ignore[arg-type]


def events_of_packet(begin: int = 100, *, data: bytes = PING, seq: int = 5, ring: int = 0) -> list[Event]:
    """The events of one packet from host to card; ``ring``: microseconds that it waits there."""
    late = begin + ring
    return [
        event("READ", begin + 2, before=begin * 1000, data=data, seq=seq),
        event("COMMIT", begin + 3, seq=seq),
        event("PUBLISH", begin + 9, before=(begin + 4) * 1000, seq=seq, length=1, value=T.NOTICES["WOKEN"]),
        event("PEEK", late + 20, side=L.CARD, before=(late + 17) * 1000, seq=seq, value=3000, data=data),
        event("WRITE", late + 50, side=L.CARD, seq=seq),
        event("RELEASE", late + 51, side=L.CARD, before=(late + 50) * 1000, seq=seq, length=1),
    ]


def altered(events: list[Event], stage: str, **more: object) -> list[Event]:
    return [replace(one, **more) if one.stage == stage else one for one in events]  # type: ignore[arg-type]


def traced(events: list[Event], **more: object) -> list[PacketTrace]:
    tracer = Tracer(**more)  # type: ignore[arg-type]
    tracer.feed(events)
    tracer.feed([])
    return list(tracer.finished())


# --- traces -------------------------------------------------------------------------------------------


def test_events_of_both_sides_make_one_trace_in_any_order() -> None:
    events = events_of_packet()
    for shuffled in (events, events[3:] + events[:3]):
        (trace,) = traced(shuffled)
        steps = [step for step, _ in trace.aligned(Clocks(shared=True))]
        assert steps == [step for step in packet_trace.STEPS if step not in engine_log.STEPS]
        assert (trace.seq, trace.slept_us, trace.finished) == (5, 3000, True)
        assert trace.notes == {"doorbell": "the peer was woken"}


def test_trace_is_returned_once_one_poll_after_its_last_event() -> None:
    tracer = Tracer()
    tracer.feed(events_of_packet()[3:])
    assert list(tracer.finished()) == []
    tracer.feed(events_of_packet()[:3])
    tracer.feed([])
    assert len(list(tracer.finished())) == 1
    assert list(tracer.finished(everything=True)) == []


def test_one_publication_covers_all_of_its_records() -> None:
    events = [event("COMMIT", n, seq=n, data=PING) for n in (5, 6, 7)]
    events += [event("PUBLISH", 9, seq=5, length=3), *(event("WRITE", 20, seq=n) for n in (5, 6, 7))]
    assert [trace.steps["doorbell"] for trace in traced(events)] == [9000] * 3


def test_packet_without_further_events_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = Tracer()
    tracer.feed(events_of_packet()[:3])
    tracer.feed([])
    assert list(tracer.finished()) == []
    monkeypatch.setattr(packet_trace, "LATE_NS", -1)
    (trace,) = tracer.finished()
    assert not trace.finished


def test_same_number_under_other_epochs_is_another_packet() -> None:
    events = events_of_packet()
    assert len(traced(events + [replace(one, epochs=(1, 3)) for one in events])) == 2


def test_dropped_packet_is_a_trace_of_its_own() -> None:
    drop = L.TX_LEDGER.index("drop_link_down")
    (trace,) = traced([event("READ", 5, drop=drop, flags=T.FLAGS["NOSEQ"], data=PING)])
    assert (trace.drop, trace.seq) == ("drop_link_down", None)


def test_only_packets_that_match_the_filter_are_given() -> None:
    events = events_of_packet() + events_of_packet(data=UDP, seq=6)
    assert [trace.seq for trace in traced(events, chosen=Filter("icmp and host 10.10.10.5"))] == [5]
    assert [trace.seq for trace in traced(events, chosen=Filter("udp port 53"))] == [6]


def test_events_are_decoded_as_they_were_encoded() -> None:
    for one in events_of_packet():
        assert decode(encode(one)) == one
    for line in ("", "[]", "[1, 2]", "nonsense"):
        with pytest.raises(ValueError):
            decode(line)


# --- an engine in between ----------------------------------------------------------------------------


def engine_ring() -> engine_log.RingProgress:
    return engine_log.RingProgress("h2c", L.HOST, (Ring(0x1000, 0x1000), Ring(0x1000, 0x1000)), 0x800)


def test_bursts_and_index_words_are_steps_of_the_records_that_they_cover() -> None:
    ring = engine_ring()
    assert ring.reached("READ", L.HOST, 0x1000, 128) == ("engine read", 128)
    assert ring.reached("WRITE", L.CARD, 0x1000, 128) == ("engine write", 128)
    assert ring.reached("INDEX", L.CARD, 0x800, 128) == ("engine publish", 128)
    for other in (
        ("READ", L.CARD, 0x1000),
        ("WRITE", L.HOST, 0x1000),
        ("INDEX", L.HOST, 0x800),
        ("READ", L.HOST, 0x40),
    ):
        assert ring.reached(*other, 64) is None


def test_ring_offsets_become_indices_after_the_ring_and_the_index_wrap() -> None:
    for published in (0x5_0040, 0xFFFF_FFC0):
        ring = engine_ring()
        ring.reached("INDEX", L.CARD, 0x800, published)
        at = 0x1000 + published % 0x1000
        assert ring.reached("READ", L.HOST, at, 64) == ("engine read", (published + 64) % 2**32)
        assert ring.reached("READ", L.HOST, 0x1000 + (published + 64) % 0x1000, 64) == (
            "engine read",
            (published + 128) % 2**32,
        )


def test_each_record_gets_the_first_step_that_covers_all_of_it() -> None:
    tracer = Tracer(engine=True)
    tracer.feed([event("COMMIT", n, seq=n, index=128 * (n + 1), data=PING) for n in range(3)])
    done = [engine_log.Reached("h2c", "engine read", end, 50_000 + end) for end in (64, 128, 320, 384)]
    tracer.feed([event("WRITE", 90, seq=n) for n in range(3)], done)
    tracer.feed([])
    assert [trace.steps["engine read"] for trace in tracer.finished()] == [50_128, 50_320, 50_384]


def test_slow_engine_is_the_bottleneck() -> None:
    summary = Summary("h2c")
    tracer = Tracer(engine=True)
    tracer.feed([replace(one, index=64) if one.stage == "COMMIT" else one for one in events_of_packet(ring=5000)])
    steps = zip(engine_log.STEPS, (120, 4900, 5000), strict=True)
    tracer.feed([], [engine_log.Reached("h2c", step, 64, at * 1000) for step, at in steps])
    for trace in tracer.finished():
        summary.add(trace, Clocks(shared=True))
    assert summary.bottleneck()[0] == "engine write"
    assert "the engine and its buses" in summary.bottleneck()[1]


# --- filters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept", "wanted"),
    [("icmp", 28, True), ("icmp", 20, True), ("tcp", 28, False), ("greater 1000", 28, True), ("udp", 9, False)],
)
def test_filter_sees_the_first_bytes_and_the_whole_length(text: str, kept: int, wanted: bool) -> None:
    assert Filter(text)(PING[:kept], 1500) == wanted


@pytest.mark.parametrize("text", ["host", "icmp and and", "port http:", "ether host 1:2:3:4:5:6 or"])
def test_bad_filter_is_refused_with_the_message_of_libpcap(text: str) -> None:
    with pytest.raises(ConfigError, match=r": .+") as caught:
        Filter(text)
    assert caught.value.code is ErrorCode.BAD_FILTER


def test_missing_libpcap_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", missing)
    with pytest.raises(ConfigError, match="apt-get install libpcap0") as caught:
        Filter("icmp")
    assert caught.value.code is ErrorCode.TOOL_MISSING


# --- another computer --------------------------------------------------------------------------------

TCP = bytes.fromhex("45000028000100004006cccd0a0a0a010a0a0a05c5760016000000000000000050020000000000")


def test_record_filter_selects_all_events_of_the_chosen_records_and_no_others() -> None:
    wanted, other = events_of_packet(), events_of_packet(data=UDP, seq=6)
    record_filter = RecordFilter(Filter("icmp"))
    assert list(record_filter.select([one for pair in zip(wanted, other, strict=True) for one in pair])) == wanted
    batch = event("PUBLISH", 9, seq=6, length=3)
    assert list(record_filter.select([batch, event("COMMIT", 8, seq=7)])) == [], "6, 7 and 8 are not wanted"
    drop = event("READ", 5, drop=1, flags=T.FLAGS["NOSEQ"], data=PING, seq=8)
    assert list(record_filter.select([drop, event("COMMIT", 6, seq=8)])) == [drop]


@pytest.mark.parametrize(
    ("value", "is_own"),
    [
        ("10.10.10.1 50550 10.10.10.5 22", True),
        ("10.10.10.5 22 10.10.10.1 50550", True),
        ("10.10.10.1 50551 10.10.10.5 22", False),
        ("fe80::1%tun0 50550 fe80::2%tun0 22", False),
        ("", False),
        ("nonsense 1 2 3", False),
    ],
)
def test_own_ssh_connection_is_left_out(value: str, is_own: bool) -> None:
    wanted = excluding(own_flow({"SSH_CONNECTION": value}), None)
    assert wanted(TCP, len(TCP)) != is_own
    assert wanted(PING, len(PING)) and wanted(UDP, len(UDP)) and wanted(b"", 0)
    assert not excluding(None, Filter("udp"))(TCP, len(TCP))


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b'{"side": 2, "sample": 1}', b'{"side": 0, "sample": 1, "x": 1}'])
def test_export_refuses_input_that_is_no_request(line: bytes) -> None:
    with pytest.raises(ConfigError, match="for trace --peer"):
        ExportRequest.of(line)


# --- clocks ------------------------------------------------------------------------------------------


def test_clocks_are_known_after_packets_in_both_directions_or_when_shared() -> None:
    clocks = Clocks()
    for direction, known in (("h2c", False), ("h2c", False), ("c2h", True)):
        clocks.add(direction, 0, 1000)
        assert clocks.known == known
    assert Clocks(shared=True).known
    assert Clocks(shared=True).describe() == "both sides use one clock"


def test_time_between_the_sides_is_left_out_while_the_clocks_are_not_known() -> None:
    (trace,) = traced(events_of_packet())
    clocks = Clocks()
    producer, consumer = trace.parts(clocks)
    assert [step for step, _ in producer][-1] == "doorbell"
    assert [step for step, _ in consumer] == ["wake-up", "peek", "port write", "release"]
    summary = Summary("h2c")
    summary.add(trace, clocks)
    assert set(summary.figures()) == {"room", "port read", "commit", "doorbell", "peek", "port write"}
    assert "without the time between the sides of 1" in summary.text() and "of the time that is known" in summary.text()


@pytest.mark.parametrize("ahead", [0, 5_000_000, -7_000_000_000])
def test_offset_of_the_clocks_lies_within_the_bound(ahead: int) -> None:
    clocks = Clocks()
    for n in range(100):
        there, back = 10_000 + 37 * n, 22_000 + 113 * (n % 7)
        clocks.add("h2c", n * 1_000_000, n * 1_000_000 + there + ahead)
        clocks.add("c2h", n * 1_000_000 + ahead, n * 1_000_000 + back)
    offset = clocks.measured(99_000_000)
    assert offset.bound is not None
    assert abs(offset.value - ahead) <= offset.bound < 30_000


def test_clocks_that_drift_apart_stay_within_the_bound() -> None:
    clocks = Clocks()
    for n in range(50):
        ahead = 50_000 * n  # 50 ppm
        clocks.add("h2c", n * 10**9, n * 10**9 + 10_000 + ahead)
        clocks.add("c2h", n * 10**9 + ahead, n * 10**9 + 10_000)
        offset = clocks.measured(n * 10**9)
        assert offset.bound is not None and abs(offset.value - ahead) <= offset.bound < 200_000


def test_packets_in_one_direction_give_an_estimate_without_a_bound() -> None:
    """The card is 1 s ahead, and the faster of two packets takes 500 ns."""
    for direction, host, card, value in (("h2c", 0, 500, 10**9 + 500), ("c2h", 500, 0, 10**9 - 500)):
        clocks = Clocks()
        for late in (200, 0):
            times = [5 * 10**9 + host + late * (host > 0), 6 * 10**9 + card + late * (card > 0)]
            clocks.add(direction, *(times if direction == "h2c" else reversed(times)))
        offset = clocks.measured(clocks.latest)
        assert (offset.value, offset.bound) == (value, None)
        assert "both directions" in offset.describe()


def test_shared_clock_has_no_offset_unless_the_records_contradict() -> None:
    clocks = Clocks(shared=True)
    clocks.add("h2c", 0, 40_000)
    clocks.add("c2h", 0, 10_000)
    assert clocks.offset(0).value == 0 != clocks.measured(0).value
    other = Clocks(shared=True)
    other.add("h2c", 0, 1_000_000)
    other.add("c2h", 0, -900_000)
    assert other.offset(0) == other.measured(0) != Offset(0, 0)


# --- summary -----------------------------------------------------------------------------------------


def summary_of(*all_events: list[Event]) -> Summary:
    summary = Summary("h2c")
    for trace in traced([one for events in all_events for one in events]):
        summary.add(trace, Clocks(shared=True))
    return summary


def test_stages_add_up_and_the_longest_is_the_bottleneck() -> None:
    summary = summary_of(*(events_of_packet(n * 1000, seq=n) for n in range(10)))
    times = {stage: figures.median for stage, figures in summary.figures().items()}
    assert times == {
        "room": 0,
        "port read": 2,
        "commit": 1,
        "doorbell": 6,
        "wake-up": 14,
        "peek": 3,
        "port write": 30,
    }
    assert summary.bottleneck()[0] == "port write"
    assert "card's pump" in summary.bottleneck()[1]


def test_engine_without_events_is_named_beside_the_pump() -> None:
    summary = Summary("h2c", "the software mover")
    for trace in traced(events_of_packet(ring=1000)):
        summary.add(trace, Clocks(shared=True))
    stage, why = summary.bottleneck()
    assert stage == "wake-up"
    assert "the software mover moves records, or the card's pump is late" in why


def test_lost_wake_ups_are_named_as_the_bottleneck() -> None:
    lost = [altered(events_of_packet(seq=n, ring=60_000), "PEEK", value=99_900) for n in range(4)]
    stage, why = summary_of(*lost).bottleneck()
    assert stage == "wake-up" and "no wake-up reaches the card's pump" in why


def test_slow_consumer_is_the_bottleneck_when_records_wait_in_the_ring() -> None:
    awake = [altered(events_of_packet(seq=n, ring=900), "PEEK", before=0) for n in range(4)]
    stage, why = summary_of(*awake).bottleneck()
    assert stage == "in the ring" and "the card's pump is behind" in why and "port write" in why


def test_full_ring_is_named_as_the_bottleneck() -> None:
    full = [altered(events_of_packet(seq=n), "READ", value=5000) for n in range(4)]
    stage, why = summary_of(*full).bottleneck()
    assert stage == "room" and "the ring is full" in why
