"""Every kind of port keeps the same promises; a new kind is one line in OPENERS."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need, need_root
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import KINDS, Port, open_port, presence_of
from vnetcard.port.memif import MemifPort
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.netns import inside
from vnetcard.ring import layout as L
from vnetcard.testing import PORT_CHECKS, NearAndFar, OpenPort

ETH_P_IP = 0x0800
_names = itertools.count()


def ip(*words: str) -> str:
    done = subprocess.run([need("ip"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def link(netns: str, name: str) -> dict[str, Any]:
    """What ``ip link`` says about an interface; {} when it is not there."""
    shown = subprocess.run(
        [need("ip"), "-n", netns, "-j", "link", "show", name], capture_output=True, text=True, check=False
    )
    return dict(json.loads(shown.stdout)[0]) if shown.returncode == 0 else {}


@pytest.fixture
def netns() -> Iterator[str]:
    """A network namespace in which the kernel sends no IPv6 packets of its own."""
    need_root()
    name = f"vnc-port-{os.getpid()}-{next(_names)}"
    ip("netns", "add", name)
    try:
        with inside(name):
            for scope in ("all", "default"):
                with contextlib.suppress(OSError):
                    Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
        yield name
    finally:
        ip("netns", "del", name)


def _bring_up(netns: str, port: Port) -> socket.socket:
    ip("-n", netns, "link", "set", port.name, "up")
    port.set_carrier(True)
    deadline = time.monotonic() + 20
    while link(netns, port.name)["operstate"] != "UP":  # until then the kernel drops what it is to send
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
        return self.port.memif.write(packet)

    def recv(self, _: int, /) -> bytes:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                return self.port.memif.read()
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


OPENERS = {kind: kind for kind in ("macvtap", "memif", "packet", "pair", "tap", "tun", "unix")} | {"fd": "inherited"}
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


# --- what only an interface of the kernel has --------------------------------------------------------


@pytest.mark.root
def test_tun_is_created_in_the_named_namespace_and_the_thread_stays(netns: str) -> None:
    own = Path("/proc/thread-self/ns/net")
    home = own.readlink()
    for name in (netns, f"/run/netns/{netns}"):
        with contextlib.closing(open_port("tun:tun7", netns=name)):
            assert link(netns, "tun7")
            assert not Path("/sys/class/net/tun7").exists()
            assert own.readlink() == home
            assert str(Path("/run/netns", netns).stat().st_ino) not in str(home), "this thread stayed in that namespace"
        assert not link(netns, "tun7")


@pytest.mark.root
def test_tun_has_no_carrier_before_it_is_set(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns)) as port:
        ip("-n", netns, "link", "set", "tun0", "up")
        assert "NO-CARRIER" in link(netns, "tun0")["flags"]
        port.set_carrier(True)
        assert "LOWER_UP" in link(netns, "tun0")["flags"]
        port.set_carrier(False)
        assert "NO-CARRIER" in link(netns, "tun0")["flags"]


@pytest.mark.root
def test_persistent_tun_stays_and_is_taken_over(netns: str) -> None:
    open_port("tun:tun0", netns=netns, persist=True).close()
    first = link(netns, "tun0")
    assert first
    with contextlib.closing(open_port("tun:tun0", netns=netns)):
        assert link(netns, "tun0")["ifindex"] == first["ifindex"]
    assert link(netns, "tun0")["ifindex"] == first["ifindex"], "a persistent TUN went with its second owner"


@pytest.mark.root
def test_tun_of_several_queues_is_one_interface_that_goes_with_them(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=3)) as port:
        assert len(port.fds) == 3 and link(netns, "tun0")
        for fd in port.fds:
            assert not os.get_blocking(fd) and not os.get_inheritable(fd)
        for count in (1, 3, 2, 2, 15, 1):
            port.use_queues(count)
    assert not link(netns, "tun0")


@pytest.mark.root
def test_only_queues_in_use_have_packets_and_a_flow_follows_the_queue_of_its_answers(
    netns: str,
) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=4)) as port, inside(netns):
        ip("-n", netns, "address", "add", "192.0.2.1/24", "dev", "tun0")
        ip("-n", netns, "link", "set", "tun0", "up")
        port.set_carrier(True)
        for used in (4, 2, 1, 3):
            port.use_queues(used)
            for queue in range(used):
                with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as flow:
                    flow.bind(("192.0.2.1", 0))
                    _drain(port)
                    os.write(port.fds[queue], bytes(L.VNET_HDR) + _question(flow.getsockname()[1]))
                    assert _queues_of(port, flow) == {queue}


def _question(port: int) -> bytes:
    """A UDP packet from 192.0.2.2, port 7, to port ``port`` of 192.0.2.1, without a UDP checksum."""
    head = bytes.fromhex("45000024 00000000 4011 0000 c0000202 c0000201")
    total = sum(int.from_bytes(head[n : n + 2], "big") for n in range(0, 20, 2))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    udp = (7).to_bytes(2, "big") + port.to_bytes(2, "big") + (16).to_bytes(2, "big") + bytes(2)
    return head[:10] + checksum.to_bytes(2, "big") + head[12:] + udp + b"question"


def _drain(port: Port) -> set[int]:
    """Read all packets to 192.0.2.2 from ``port``; returns the queues that had some."""
    used = set()
    for queue, fd in enumerate(port.fds):
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(fd, 2000):
                if packet[L.VNET_HDR + 16 :][:4] == bytes((192, 0, 2, 2)):
                    used.add(queue)
    return used


def _queues_of(port: Port, flow: socket.socket) -> set[int]:
    """The queue of the packets that ``flow`` sends; the kernel sends none before it has noticed the carrier."""
    deadline = time.monotonic() + 20
    while not (used := _drain(port)):
        assert time.monotonic() < deadline, "no packet arrives"
        flow.sendto(b"answer", ("192.0.2.2", 7))
        time.sleep(0.001)
    return used


@pytest.mark.root
def test_held_tun_of_several_queues_refuses_another_process(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=2)):
        for queues in (1, 2):
            with pytest.raises(PortUnavailable, match="another process holds; choose another --name"):
                open_port("tun:tun0", netns=netns, queues=queues)


@pytest.mark.root
def test_persistent_tun_is_taken_over_with_as_many_queues_as_it_can_have(netns: str) -> None:
    open_port("tun:several", netns=netns, persist=True, queues=2).close()
    for queues in (2, 1, 4):
        with contextlib.closing(open_port("tun:several", netns=netns, queues=queues)) as port:
            assert len(port.fds) == queues
    open_port("tun:single", netns=netns, persist=True).close()
    with pytest.raises(PortUnavailable, match="a TUN with a single queue") as caught:
        open_port("tun:single", netns=netns, queues=2)
    assert caught.value.code is ErrorCode.PORT_BUSY


def test_pair_has_one_queue() -> None:
    with pytest.raises(ConfigError, match="one queue, not 2"):
        open_port("pair:test", queues=2)


@pytest.mark.root
def test_tun_that_is_held_is_refused_and_stays(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns)):
        with pytest.raises(PortUnavailable, match="another process holds; choose another --name"):
            open_port("tun:tun0", netns=netns)
        assert link(netns, "tun0")


@pytest.mark.root
def test_missing_namespace_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"'vnc-no-such'.*ip netns add vnc-no-such"):
        open_port("tun:tun0", netns="vnc-no-such")


@pytest.mark.root
def test_namespace_that_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PortUnavailable, match="cannot enter it"):
        open_port("tun:tun0", netns=str(tmp_path / "file"))


@pytest.mark.parametrize("url", ["", "tun", "tun:", "taper:x", ":x", "TUN:x"])
def test_invalid_port_url_is_a_configuration_error_that_names_the_kinds(url: str) -> None:
    with pytest.raises(ConfigError, match="fd, macvtap, memif, packet, pair, tap, tun, unix") as caught:
        open_port(url)
    assert caught.value.code is ErrorCode.BAD_URL


@pytest.mark.root
@pytest.mark.parametrize("name", ["sixteen-bytes-xx", "a b", "a/b", "a:b", "tun%d", ".", "..", "a\tb", "a\0b"])
def test_name_that_the_kernel_refuses_is_a_configuration_error(netns: str, name: str) -> None:
    with pytest.raises(ConfigError, match="invalid interface name"):
        open_port(f"tun:{name}", netns=netns)
