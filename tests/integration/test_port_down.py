"""A port whose interface is set down answers ENETDOWN: it is down, not gone, and the pumps go on once it is up."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from tests.harness.programs import ip
from tests.harness.restarts import until
from tests.unit.pump_harness import Host
from vnetcard import _core
from vnetcard.lab.lab import make_namespaces
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.netns import inside
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end

pytestmark = pytest.mark.root

FRAME = b"\xff" * 6 + bytes.fromhex("02005e000001 88b5") + bytes(50)
ETH_P_EXPERIMENT = 0x88B5


@pytest.fixture
def netns() -> Iterator[str]:
    """Two ends of a cable, ``near`` and ``far``."""
    name = f"vnetcard-down-{os.getpid()}"
    with contextlib.ExitStack() as made:
        make_namespaces(made, [name])
        ip("-n", name, "link", "add", "near", "up", "type", "veth", "peer", "far")
        ip("-n", name, "link", "set", "far", "up")
        yield name


def bound(netns: str, name: str) -> socket.socket:
    with inside(netns):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_EXPERIMENT))
    opened.bind((name, ETH_P_EXPERIMENT))
    opened.setblocking(False)
    return opened


def test_interface_that_goes_down_is_not_gone(netns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with bound(netns, "near") as near, bound(netns, "far") as far:
        monkeypatch.setattr(PairPort, "fds", property(lambda _: (near.fileno(),)))
        with contextlib.closing(Host(frames=L.FRAMES["ETHERNET"])) as host:
            host.begin(1, 2)

            def received() -> bool:
                with contextlib.suppress(BlockingIOError):
                    far.send(FRAME)
                return host.from_host.try_pop() == FRAME

            def dropped() -> int:
                return int(read_end(host.memory, "c2h", tx=False).ledger["drop_port_down"])

            until(received, "the first frame", limit=30)
            ip("-n", netns, "link", "set", "near", "down")  # the next read answers ENETDOWN
            assert host.to_host.try_push(FRAME)  # and this write
            until(lambda: dropped() == 1, "a frame for an interface that is down", limit=30)
            events = host.endpoints.take_events()
            assert not events & _core.EVENT_PORT_GONE
            ip("-n", netns, "link", "set", "near", "up")
            until(received, "a frame once it is up again", limit=30)
            assert not host.endpoints.take_events() & _core.EVENT_PORT_GONE
