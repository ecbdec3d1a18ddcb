"""The pumps of a vhost-user port over each kind of memory: frames both ways, drops, a driver that stops or goes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.harness.vhost_front_end import HEADER_BYTES, PLAIN, QUEUE, USED, FrontEnd
from tests.unit.memories import KINDS
from tests.unit.pump_harness import Host
from vnetcard.agent.punt import Punt
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.port import open_port
from vnetcard.port.vhost_backend import RECEIVE, TRANSMIT
from vnetcard.port.vhost_protocol import FEATURES, INDIRECT_DESC, MRG_RXBUF, VERSION_1, Request, VringState
from vnetcard.port.vhost_user import VhostUserPort
from vnetcard.ring import layout as L

LATE = 5
"""Sleeps that may end by time-out just as a frame comes, or where this driver has no fence; else nearly each would."""
SIZES = (14, 60, 63, 64, 65, 243, 244, 245, 1500)
"""A buffer of 256 bytes has 244 of a frame, behind the header."""


class Ends:
    """The pumps of a host whose port is a back-end, and the front-end behind it."""

    def __init__(self, host: Host, near: VhostUserPort, far: FrontEnd) -> None:
        self.host, self.near, self.far = host, near, far

    def frame(self, number: int, size: int) -> bytes:
        return bytes((number * 7 + n) & 0xFF for n in range(size))

    def deliver(self, frame: bytes) -> None:
        until(lambda: self.host.to_host.try_push(frame), "the ring has room")

    def send(self, frame: bytes, **how: bool | bytes) -> None:
        self.far.write(frame, **how)  # type: ignore[arg-type]
        until(self.far.is_sent, "the device has used it")

    def at_far(self) -> bytes:
        return _found(self.far.read, "a frame at the driver")

    def at_card(self) -> bytes:
        return _found(self.host.from_host.try_pop, "a record in the ring")

    def tx(self, name: str) -> int:
        return self.host.endpoints.tx.ledger[L.TX_LEDGER.index(name)]

    def rx(self, name: str) -> int:
        return self.host.endpoints.rx.ledger[L.RX_LEDGER.index(name)]


def _found(read: Callable[[], bytes | None], what: str) -> bytes:
    got: list[bytes] = []

    def one() -> bool:
        with contextlib.suppress(BlockingIOError):
            got.extend(packet for packet in [read()] if packet is not None)
        return bool(got)

    until(one, what)
    return got[0]


@contextlib.contextmanager
def ends_over(kind: str, features: int = PLAIN, buffer: int = 256) -> Iterator[Ends]:
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="vnc-"))
        near = open_port(f"vhost-user:{folder}/port")
        assert isinstance(near, VhostUserPort)
        opened.enter_context(contextlib.closing(near))
        far = opened.enter_context(contextlib.closing(FrontEnd.connected_to(near.name, buffer=buffer)))
        far.connect(features)
        until(lambda: near.present, "the queues are attached")
        host = Host(kind=kind, frames=L.FRAMES["ETHERNET"])
        opened.callback(os.close, host.attention)
        host.endpoints.close()
        host.port.close()
        host.port = near  # type: ignore[assignment]
        host.reopen()
        opened.callback(host.endpoints.close)
        host.begin(1, 2)
        yield Ends(host, near, far)


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with ends_over(request.param) as found:
        yield found


@pytest.fixture
def coherent() -> Iterator[Ends]:
    with ends_over("coherent") as found:
        yield found


def exchange(ends: Ends, *, rounds: int, indirect: bool = False) -> None:
    count = 0
    for _ in range(rounds):
        for size in SIZES:
            frame = ends.frame(count, size)
            count += 1
            ends.deliver(frame)
            assert ends.at_far() == frame
            ends.send(frame, indirect=indirect)
            assert ends.at_card() == frame
    until(lambda: ends.tx("tx_taken") == ends.tx("tx_sent") == count, "each is counted, after it was passed on")
    until(lambda: ends.rx("rx_received") == ends.rx("rx_delivered") == count, "and so in the other direction")


def test_frames_of_all_sizes_cross_unchanged_and_are_counted(ends: Ends) -> None:
    exchange(ends, rounds=20)


def test_frames_in_tables_of_descriptors_cross_unchanged(coherent: Ends) -> None:
    exchange(coherent, rounds=3, indirect=True)


@pytest.mark.parametrize("bits", [(MRG_RXBUF, INDIRECT_DESC), (MRG_RXBUF,)], ids=["plain", "indirect"])
def test_frames_without_mergeable_buffers_have_one_chain(bits: tuple[int, ...]) -> None:
    features = PLAIN & ~sum(1 << bit for bit in bits)
    with ends_over("coherent", features, buffer=2048) as ends:
        exchange(ends, rounds=2)
        ends.deliver(ends.frame(0, 1500))
        assert ends.at_far() == ends.frame(0, 1500)
    with ends_over("coherent", features) as ends:
        ends.deliver(ends.frame(0, 300))
        until(lambda: ends.rx("drop_port_refused") == 1, "no chain of the driver can hold it")
        ends.deliver(ends.frame(1, 244))
        assert ends.at_far() == ends.frame(1, 244)


def test_full_queue_of_the_driver_holds_frames_back_and_loses_none(ends: Ends) -> None:
    frames = [ends.frame(n, 300) for n in range(30)]
    for frame in frames:
        ends.deliver(frame)
    assert [ends.at_far() for _ in frames] == frames


def test_frame_that_does_not_fit_is_counted(ends: Ends) -> None:
    ends.send(bytes(1501))
    until(lambda: ends.tx("drop_too_big") == 1, "it is too big for the link")
    ends.host.endpoints.drop(peer_dead=False)
    ends.send(bytes(100))
    until(lambda: ends.tx("drop_link_down") == 1, "the link is down")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (bytes([1]) + bytes(11), "drop_offload"),
        (bytes([0, 1]) + bytes(10), "drop_offload"),
        (bytes([0, 99]) + bytes(10), "drop_offload"),
        (bytes(9), "drop_malformed"),
        (bytes(HEADER_BYTES), "drop_malformed"),
    ],
    ids=["checksum", "tso", "unknown gso", "short header", "no frame"],
)
def test_frame_that_asks_for_what_was_not_agreed_on_is_counted(coherent: Ends, header: bytes, name: str) -> None:
    coherent.send(b"" if name == "drop_malformed" else coherent.frame(1, 80), header=header)
    until(lambda: coherent.tx(name) == 1, "it is counted")
    coherent.send(coherent.frame(2, 80))
    assert coherent.at_card() == coherent.frame(2, 80)


def test_frames_for_an_absent_driver_are_counted_and_the_next_one_gets_those_after(ends: Ends) -> None:
    ends.far.socket.close()
    until(lambda: not ends.near.present, "the front-end has gone")
    for n in range(5):
        ends.deliver(ends.frame(n, 60))
    until(lambda: ends.rx("drop_port_down") == 5, "all are counted")
    with contextlib.closing(FrontEnd.connected_to(ends.near.name)) as far:
        far.connect()
        ends.far, before = far, ends.far
        until(lambda: ends.near.present, "the next one is there")
        ends.deliver(ends.frame(9, 90))
        assert ends.at_far() == ends.frame(9, 90)
        ends.far = before


def test_driver_that_stops_and_starts_goes_on_where_it_was(coherent: Ends) -> None:
    """Also where the front-end says another position than the one in the queue: DPDK always says 0."""
    exchange(coherent, rounds=1)
    positions = [coherent.far.stop(queue) for queue in (RECEIVE, TRANSMIT)]
    assert positions == [coherent.far.load(queue * QUEUE + USED + 2) for queue in (RECEIVE, TRANSMIT)]
    assert not coherent.near.present
    coherent.deliver(coherent.frame(0, 60))
    until(lambda: coherent.rx("drop_port_down") == 1, "it is counted")
    for queue in (RECEIVE, TRANSMIT):
        coherent.far.start(queue)
    until(lambda: coherent.near.present, "it is attached again")
    coherent.deliver(coherent.frame(3, 90))
    assert coherent.at_far() == coherent.frame(3, 90)
    coherent.send(coherent.frame(4, 91))
    assert coherent.at_card() == coherent.frame(4, 91)


def test_frames_wait_while_the_front_end_changes_its_memory(coherent: Ends) -> None:
    for n in range(30):
        coherent.deliver(coherent.frame(n, 90))
        coherent.far.share()
        assert coherent.near.present
        assert coherent.at_far() == coherent.frame(n, 90)
        coherent.send(coherent.frame(n, 91))
        assert coherent.at_card() == coherent.frame(n, 91)
    assert coherent.rx("drop_port_down") == 0


def test_queue_that_is_disabled_is_no_driver(coherent: Ends) -> None:
    for enabled in (0, 1):
        body = VringState.FORMAT.pack(RECEIVE, enabled)
        assert coherent.far.acknowledged(Request.SET_VRING_ENABLE, body) == 0
        assert coherent.near.present is bool(enabled)
    coherent.deliver(coherent.frame(3, 90))
    assert coherent.at_far() == coherent.frame(3, 90)


def test_legacy_driver_has_the_short_header(coherent: Ends) -> None:
    """Without VERSION_1 and mergeable buffers the header has no number of chains."""
    features = coherent.far.features & ~(1 << VERSION_1 | 1 << MRG_RXBUF)
    with ends_over("coherent", features) as ends:
        ends.send(ends.frame(1, 80), header=bytes(10))
        assert ends.at_card() == ends.frame(1, 80)
        ends.deliver(ends.frame(2, 80))
        until(lambda: ends.far.used(RECEIVE) == 1, "it arrives")
        head, length = ends.far.take(RECEIVE)
        at = ends.far.half + head * ends.far.buffer
        assert ends.far.memory[at : at + length] == bytes(10) + ends.frame(2, 80)


@pytest.mark.parametrize("features", [PLAIN, FEATURES], ids=["flags", "event_idx"])
def test_driver_is_interrupted_unless_it_polls(features: int) -> None:
    """Of both queues: a driver whose queue is full waits for what it sent to be used."""
    queues = (RECEIVE, TRANSMIT)
    with ends_over("coherent", features) as ends:
        for wanted in (True, False, True):
            for queue in queues:
                ends.far.want_interrupt(queue, wanted=wanted)
                ends.far.is_interrupted(queue)
            for n in range(2):
                ends.deliver(ends.frame(n, 80))
                ends.at_far()
                ends.send(ends.frame(n, 80))
                ends.at_card()
            for queue in queues:
                if wanted:
                    until(lambda queue=queue: ends.far.is_interrupted(queue), "it is interrupted")  # type: ignore[misc]
            assert wanted or not any(ends.far.is_interrupted(queue) for queue in queues)


def test_driver_kicks_a_device_that_sleeps() -> None:
    """With the chain after which it is to kick, instead of a flag; a wake-up that is lost counts as late."""
    with ends_over("coherent", FEATURES) as ends:
        exchange(ends, rounds=10)
        late = ends.host.endpoints.tx.stats[L.TX_STATS.index("late_wakeups")]
        assert late <= LATE


def test_interrupt_can_be_changed_and_taken_away(coherent: Ends) -> None:
    far, new = coherent.far, os.eventfd(0, os.EFD_NONBLOCK)
    body = RECEIVE.to_bytes(8, "little")
    assert far.acknowledged(Request.SET_VRING_CALL, body, new) == 0
    far.calls[RECEIVE], new = new, far.calls[RECEIVE]
    coherent.deliver(coherent.frame(1, 80))
    until(lambda: far.is_interrupted(RECEIVE), "by the new one")
    coherent.at_far()
    far.no_fd(Request.SET_VRING_CALL, RECEIVE)
    coherent.deliver(coherent.frame(1, 80))
    coherent.at_far()
    assert not far.is_interrupted(RECEIVE)
    os.close(new)


def test_driver_that_never_kicks_is_polled(coherent: Ends) -> None:
    """No sleep of the pump counts as one that ended late."""
    coherent.far.no_fd(Request.SET_VRING_KICK, TRANSMIT)
    coherent.far.kick = lambda: None  # type: ignore[method-assign]
    late = L.TX_STATS.index("late_wakeups")
    before = 0
    for n in range(20):
        coherent.send(coherent.frame(n, 80))
        assert coherent.at_card() == coherent.frame(n, 80)
        before = before if n else coherent.host.endpoints.tx.stats[late]  # the first sleep began before
    assert coherent.host.endpoints.tx.stats[late] == before


def test_punted_frame_comes_back_into_the_port(ends: Ends, tmp_path: Path) -> None:
    with contextlib.closing(Punt(PuntRule("udp", str(tmp_path / "p"), False), ends.near)) as punt:
        punt.receive(ends.frame(1, 80))
        assert ends.at_far() == ends.frame(1, 80)
        assert punt.view()["returned"] == 1
