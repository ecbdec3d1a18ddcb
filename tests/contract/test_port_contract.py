"""Every kind of port keeps the same promises; a new kind is one line in OPENERS."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.macvtap_network import shown
from tests.harness.programs import ip
from tests.harness.vhost_front_end import FrontEnd
from vnetcard.port import KINDS, Port, open_port, presence_of
from vnetcard.port.memif import MemifPort
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.netns import inside
from vnetcard.testing import PORT_CHECKS, NearAndFar, OpenPort

ETH_P_IP = 0x0800


def _bring_up(netns: str, port: Port) -> socket.socket:
    ip("-n", netns, "link", "set", port.name, "up")
    port.set_carrier(True)
    deadline = time.monotonic() + 20
    while shown(netns, port.name)["operstate"] != "UP":  # until then the kernel drops what it is to send
        assert time.monotonic() < deadline
    with inside(netns):
        far = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    far.bind((port.name, ETH_P_IP))
    far.settimeout(5)
    return far


class FrameSocket:
    """As PacketSocket, for Ethernet frames that carry IPv4; ``name``: the interface where they come out."""

    def __init__(self, netns: str, port: Port, name: str | None = None) -> None:
        _bring_up(netns, port).close()
        with inside(netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self.socket.bind((name or port.name, ETH_P_IP))
        self.socket.settimeout(5)

    def send(self, packet: bytes, /) -> object:
        return self.socket.send(packet)

    def recv(self, size: int, /) -> bytes:
        return self.socket.recv(size)


class PacketSocket:
    """The network stack's end of an interface; sends IPv4 packets to it and receives what arrives."""

    def __init__(self, netns: str, port: Port) -> None:
        self.socket = _bring_up(netns, port)
        self._to = (port.name, ETH_P_IP, 0, 0, b"")

    def send(self, packet: bytes, /) -> object:
        return self.socket.sendto(packet, self._to)

    def recv(self, size: int, /) -> bytes:
        return self.socket.recv(size)


@pytest.fixture
def tun(netns: str) -> Iterator[OpenPort]:
    made: list[PacketSocket] = []

    def open_one() -> NearAndFar:
        port = open_port("tun:tun0", netns=netns)
        made.append(PacketSocket(netns, port))
        return NearAndFar(port, made[-1])

    yield open_one
    for far in made:
        far.socket.close()


@pytest.fixture
def tap(netns: str) -> Iterator[OpenPort]:
    made: list[FrameSocket] = []

    def open_one() -> NearAndFar:
        port = open_port("tap:tap0", netns=netns)
        made.append(FrameSocket(netns, port))
        return NearAndFar(port, made[-1])

    yield open_one
    for far in made:
        far.socket.close()


@pytest.fixture
def packet(netns: str) -> Iterator[OpenPort]:
    """At one end of a veth; its far end is the other one."""
    made: list[socket.socket] = []
    ip("-n", netns, "link", "add", "near", "type", "veth", "peer", "name", "far")
    for name in ("near", "far"):
        ip("-n", netns, "link", "set", name, "up")

    def open_one() -> NearAndFar:
        with inside(netns):
            far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        far.bind(("far", ETH_P_IP))
        far.settimeout(5)
        made.append(far)
        return NearAndFar(open_port("packet:near", netns=netns), far)

    yield open_one
    for far in made:
        far.close()


@pytest.fixture
def macvtap(netns: str) -> Iterator[OpenPort]:
    ip("-n", netns, "link", "add", "eth1", "up", "type", "veth", "peer", "far")
    ip("-n", netns, "link", "set", "far", "up")
    made: list[FrameSocket] = []

    def open_one() -> NearAndFar:
        port = open_port("macvtap:eth1", netns=netns)
        made.append(FrameSocket(netns, port, "far"))
        return NearAndFar(port, made[-1])

    yield open_one
    for far in made:
        far.socket.close()


@pytest.fixture
def pair() -> OpenPort:
    def open_one() -> NearAndFar:
        port = open_port("pair:test")
        assert isinstance(port, PairPort)
        return NearAndFar(port, port.far)

    return open_one


@pytest.fixture
def inherited() -> Iterator[OpenPort]:
    with contextlib.ExitStack() as opened:

        def open_one() -> NearAndFar:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(far)
            with near:
                return NearAndFar(open_port(f"fd:{near.fileno()}"), far)

        yield open_one


@pytest.fixture
def unix(tmp_path: Path) -> Iterator[OpenPort]:
    with contextlib.ExitStack() as opened:

        def open_one() -> NearAndFar:
            port = open_port(f"unix:{tmp_path / 'port'}")
            far = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            far.settimeout(5)
            far.connect(port.name)
            deadline = time.monotonic() + 20
            while not presence_of(port):
                assert time.monotonic() < deadline
                time.sleep(0.001)
            return NearAndFar(port, far)

        yield open_one


class RingEnd:
    """The far end of a memif port: another one."""

    def __init__(self, port: MemifPort) -> None:
        self.port = port

    def send(self, packet: bytes, /) -> object:
        return self.port.rings.write(packet)

    def recv(self, _: int, /) -> bytes:
        return _once_there(self.port.rings.read)


def _once_there(read: Callable[[], bytes]) -> bytes:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            return read()
        time.sleep(0.001)
    raise TimeoutError


def _memif(folder: Path, role: str) -> Iterator[OpenPort]:
    """Ports of ``role``, whose far end has the other one."""
    url = f"memif:{folder / 'port'}?role="
    with contextlib.closing(open_port(url + ("server" if role == "client" else "client"))) as far:
        assert isinstance(far, MemifPort)

        def open_one() -> NearAndFar:
            port = open_port(url + role)
            deadline = time.monotonic() + 20
            while not (presence_of(port) and presence_of(far)):
                assert time.monotonic() < deadline
                time.sleep(0.001)
            return NearAndFar(port, RingEnd(far))

        yield open_one


@pytest.fixture
def memif(tmp_path: Path) -> Iterator[OpenPort]:
    yield from _memif(tmp_path, "client")


@pytest.fixture
def memif_server(tmp_path: Path) -> Iterator[OpenPort]:
    yield from _memif(tmp_path, "server")


class DriverEnd:
    """The far end of a vhost-user port: a front-end with a driver."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end

    def send(self, packet: bytes, /) -> object:
        self.front_end.write(packet)
        return None

    def recv(self, _: int, /) -> bytes:
        return _once_there(self.front_end.read)


def _vhost_user(folder: Path, role: str) -> Iterator[OpenPort]:
    """Ports of ``role``, behind each of which a front-end is connected."""
    path = folder / "port"
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        if role == "client":
            listener.bind(str(path))
            listener.listen()

        def open_one() -> NearAndFar:
            port = open_port(f"vhost-user:{path}?role={role}")
            peer = listener.accept()[0] if role == "client" else socket.socket(socket.AF_UNIX)
            if role == "server":
                peer.connect(str(path))
            front_end = opened.enter_context(contextlib.closing(FrontEnd(peer, size=64, buffer=2048)))
            front_end.connect()
            return NearAndFar(port, DriverEnd(front_end))

        yield open_one


@pytest.fixture
def vhost_user(tmp_path: Path) -> Iterator[OpenPort]:
    yield from _vhost_user(tmp_path, "server")


@pytest.fixture
def vhost_user_client(tmp_path: Path) -> Iterator[OpenPort]:
    yield from _vhost_user(tmp_path, "client")


OPENERS = {kind: kind for kind in ("macvtap", "memif", "packet", "pair", "tap", "tun", "unix")} | {
    "fd": "inherited",
    "vhost-user": "vhost_user",
}
"""Kind to the fixture that opens such a port and has its far end."""


def test_every_kind_of_port_is_under_contract() -> None:
    assert set(OPENERS) == set(KINDS.names())


@pytest.mark.parametrize("check", PORT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS.names())
def test_port_fulfils_its_contract(
    request: pytest.FixtureRequest, kind: str, check: Callable[[OpenPort], None]
) -> None:
    check(request.getfixturevalue(OPENERS[kind]))


@pytest.mark.parametrize("check", PORT_CHECKS, ids=lambda check: check.__name__)
def test_memif_server_fulfils_the_contract(memif_server: OpenPort, check: Callable[[OpenPort], None]) -> None:
    check(memif_server)


@pytest.mark.parametrize("check", PORT_CHECKS, ids=lambda check: check.__name__)
def test_vhost_user_client_fulfils_the_contract(vhost_user_client: OpenPort, check: Callable[[OpenPort], None]) -> None:
    check(vhost_user_client)
