"""The pumps of a memif port over each kind of memory: frames both ways, drops, punted ones, a peer that goes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.unit.memories import KINDS
from tests.unit.pump_harness import Host
from vnetcard.agent.punt import Punt
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.port import open_port
from vnetcard.port.memif import MemifPort
from vnetcard.ring import layout as L

SIZES = (14, 60, 63, 64, 65, 255, 256, 257, 1500)


class Ends:
    """The pumps of a host whose port is a memif client with small buffers, and the server behind it."""

    def __init__(self, host: Host, near: MemifPort, far: MemifPort) -> None:
        self.host, self.near, self.far = host, near, far

    def frame(self, number: int, size: int) -> bytes:
        return bytes((number * 7 + n) & 0xFF for n in range(size))

    def deliver(self, frame: bytes) -> None:
        until(lambda: self.host.to_host.try_push(frame), "the ring has room")

    def at_far(self) -> bytes:
        got: list[bytes] = []

        def one() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.append(self.far.rings.read())
            return bool(got)

        until(one, "a frame at the server")
        return got[0]

    def at_card(self) -> bytes:
        got: list[bytes] = []

        def one() -> bool:
            got.extend(packet for packet in [self.host.from_host.try_pop()] if packet is not None)
            return bool(got)

        until(one, "a record in the ring")
        return got[0]

    def tx(self, name: str) -> int:
        return self.host.endpoints.tx.ledger[L.TX_LEDGER.index(name)]

    def rx(self, name: str) -> int:
        return self.host.endpoints.rx.ledger[L.RX_LEDGER.index(name)]


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="vnc-"))
        ports = []
        for options in ("?role=server", "?ring=4&buffer=256"):
            port = open_port(f"memif:{folder}/port{options}")
            assert isinstance(port, MemifPort)
            ports.append(opened.enter_context(contextlib.closing(port)))
        far, near = ports
        until(lambda: near.present and far.present, "they are connected")
        host = Host(kind=request.param, frames=L.FRAMES["ETHERNET"])
        opened.callback(os.close, host.attention)
        host.endpoints.close()
        host.port.close()
        host.port = near  # type: ignore[assignment]
        host.reopen()
        opened.callback(host.endpoints.close)
        host.begin(1, 2)
        yield Ends(host, near, far)


def test_frames_of_all_sizes_cross_unchanged_and_are_counted(ends: Ends) -> None:
    count = 0
    for _ in range(20):
        for size in SIZES:
            frame = ends.frame(count, size)
            count += 1
            ends.deliver(frame)
            assert ends.at_far() == frame
            ends.far.rings.write(frame)
            assert ends.at_card() == frame
    until(lambda: ends.tx("tx_taken") == ends.tx("tx_sent") == count, "each is counted, after it was passed on")
    until(lambda: ends.rx("rx_received") == ends.rx("rx_delivered") == count, "and so in the other direction")


def test_full_ring_of_the_peer_holds_frames_back_and_loses_none(ends: Ends) -> None:
    frames = [ends.frame(n, 300) for n in range(30)]
    for frame in frames:
        ends.deliver(frame)
    assert [ends.at_far() for _ in frames] == frames


def test_frame_that_does_not_fit_is_counted(ends: Ends) -> None:
    ends.far.rings.write(bytes(1501))
    until(lambda: ends.tx("drop_too_big") == 1, "it is too big for the link")
    ends.host.endpoints.drop(peer_dead=False)
    ends.far.rings.write(bytes(100))
    until(lambda: ends.tx("drop_link_down") == 1, "the link is down")
    assert not ends.far.rings.waiting


def test_frames_for_an_absent_peer_are_counted_and_the_next_peer_gets_those_after(ends: Ends) -> None:
    ends.far.close()
    until(lambda: not ends.near.present, "the server has gone")
    for n in range(5):
        ends.deliver(ends.frame(n, 60))
    until(lambda: ends.rx("drop_port_down") == 5, "all are counted")
    with contextlib.closing(open_port(f"memif:{ends.near.name}?role=server")) as far:
        assert isinstance(far, MemifPort)
        ends.far = far
        until(lambda: ends.near.present and far.present, "the next one is there")
        ends.deliver(ends.frame(9, 90))
        assert ends.at_far() == ends.frame(9, 90)


def test_punted_frame_comes_back_into_the_memif(ends: Ends, tmp_path: Path) -> None:
    with contextlib.closing(Punt(PuntRule("udp", str(tmp_path / "p"), False), ends.near)) as punt:
        punt.receive(ends.frame(1, 80))
        assert ends.at_far() == ends.frame(1, 80)
        assert punt.view()["returned"] == 1
