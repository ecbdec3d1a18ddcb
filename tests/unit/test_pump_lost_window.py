"""A pump whose ring has lost a page holds and says so: not the port is gone, and no packet was refused."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.unit.pump_harness import GEOMETRY, WINDOW, Host
from tests.unit.test_peer_filter import ipv4
from vnetcard import _core
from vnetcard.agent.punt import Punt
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.port.client import PortClient

PACKET = b"E" * 1400
"""Two records of it lie in the first page of a ring, and the third one crosses into the second page."""
PAGE = 4096


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[tuple[Host, int]]:
    """Running pumps over a file, and the file."""
    fd = os.open(tmp_path / "window", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, WINDOW)
    host = Host(fd=fd)
    host.begin(1, 2)
    yield host, fd
    host.close()
    os.close(fd)


def ring_of(direction: int) -> int:
    return GEOMETRY.rings[0][direction].offset


def events(host: Host) -> int:
    assert select.select([host.attention], [], [], 10)[0], "the pump raised no event"
    return host.endpoints.take_events()


@pytest.mark.parametrize("at", [PAGE, 0], ids=["EFAULT", "SIGBUS"])
def test_tx_pump_without_memory_for_a_packet_has_lost_its_window(cut: tuple[Host, int], at: int) -> None:
    host, fd = cut
    for _ in range(2):
        host.port.far.send(PACKET)
        while host.from_host.try_pop() is None:
            pass
    os.ftruncate(fd, ring_of(0) + at)
    host.port.far.send(PACKET)
    assert events(host) == _core.EVENT_WINDOW_LOST
    assert host.memory.lost


def test_rx_pump_that_cannot_read_a_packet_has_lost_its_window(cut: tuple[Host, int]) -> None:
    host, fd = cut
    for _ in range(2):
        assert host.to_host.try_push(PACKET)
        assert host.port.far.recv(2000) == PACKET
    host.endpoints.hold()
    assert host.to_host.try_push(PACKET)
    os.ftruncate(fd, ring_of(1) + PAGE)
    host.endpoints.run()
    assert events(host) == _core.EVENT_WINDOW_LOST
    assert host.memory.lost


def test_packet_of_which_a_page_is_missing_is_not_punted(cut: tuple[Host, int], tmp_path: Path) -> None:
    host, fd = cut
    packet = ipv4(b"E" * 1380, protocol=17)
    with contextlib.closing(Punt(PuntRule("udp", str(tmp_path / "p"), False), host.port)) as punt:
        host.endpoints.hold()
        punt.attach(host.endpoints.rx)
        host.endpoints.run()
        with PortClient.open(tmp_path / "p") as program:
            until(lambda: punt.view()["program"], "the program is connected")
            for _ in range(2):
                assert host.to_host.try_push(packet)
                assert program.recv(timeout=60) == packet
            host.endpoints.hold()
            assert host.to_host.try_push(packet)
            os.ftruncate(fd, ring_of(1) + PAGE)
            host.endpoints.run()
            assert events(host) == _core.EVENT_WINDOW_LOST
            assert host.memory.lost
            assert not select.select([program.fileno()], [], [], 0)[0], "a packet with zeros in it was punted"
