"""Packets and streams of unusual shape cross the link unharmed: segments, options, headers, gateways, tunnels."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.harness.documented import documented_blocks
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.programs import ip, run
from tests.harness.traffic import ADDRESS, assert_no_bad_checksums, joined, snmp
from vnetcard.lab.lab import Lab, run_in
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root
LIMIT_S = 30.0
IPV6_HOPOPTS, IPV6_DSTOPTS, UDP_SEGMENT = 54, 59, 103  # Linux include/uapi/linux/in6.h, udp.h
SOL_UDP = 17
TUNNEL = ("10.77.0.1", "10.77.0.5")
LAN = ("10.88.0.1", "10.88.0.2")
"""Of the card, and of the machine behind it."""

Prepare = Callable[[socket.socket], None]


@pytest.fixture(scope="module", params=["auto", "off"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Two computers, with offloads and without; behind the card is a LAN, and a VXLAN joins both."""
    options = ("--offload", request.param)
    with joined(host=options, card=options) as lab:
        for side, netns in enumerate(lab.namespaces):
            here, there = ADDRESS[4][side], ADDRESS[4][1 - side]
            ip("-n", netns, "link", "add", "vx0", "type", "vxlan", "id", "7", "local", here, "remote", there,
               "dstport", "4789")  # fmt: skip
            ip("-n", netns, "address", "add", f"{TUNNEL[side]}/24", "dev", "vx0")
            ip("-n", netns, "link", "set", "vx0", "up")
        yield lab
        assert_no_bad_checksums(lab)
        assert_ledgers_balance(lab)


def sockets(lab: Lab, version: int, kind: socket.SocketKind, protocol: int = 0) -> list[socket.socket]:
    """A socket of each side."""
    made = []
    for netns in lab.namespaces:
        with inside(netns):
            made.append(socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind, protocol))
        made[-1].settimeout(LIMIT_S)
    return made


def assert_stream_is_whole(
    source: socket.socket, sink: socket.socket, address: str, pieces: Sequence[int], prepare: Prepare
) -> None:
    """Send pseudo-random ``pieces`` from ``source`` to ``sink``, and back; each arrives with the same hash."""
    rng = random.Random(7)
    data = [rng.randbytes(size) for size in pieces]
    whole = b"".join(data)
    with source, sink:
        for end in (source, sink):
            prepare(end)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sink.bind((address, 0))
        sink.listen()
        source.connect(sink.getsockname()[:2])
        far, _ = sink.accept()
        far.settimeout(LIMIT_S)
        with far:
            for sender, receiver in ((source, far), (far, source)):
                writer = threading.Thread(target=lambda out=sender: [out.sendall(piece) for piece in data])
                writer.start()
                got = hashlib.sha256()
                left = len(whole)
                while left and (part := receiver.recv(min(left, 1 << 20))):
                    got.update(part)
                    left -= len(part)
                writer.join()
                assert (left, got.digest()) == (0, hashlib.sha256(whole).digest())


def nothing(sock: socket.socket) -> None:
    del sock


def option(level: int, name: int, value: int | bytes) -> Prepare:
    return lambda sock: sock.setsockopt(level, name, value)


ODD = [1, 2, 3, 7, 63, 64, 65, 87, 1447, 1448, 1449, 8191, 65483, 65535, 65536, 65537, 300_001]
PAD8 = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # next header (set by the kernel), length 0, PadN of 4 bytes
SKIPPED = bytes([0, 7, 0x1E, 60]) + bytes(60)  # an experimental option that receivers skip (RFC 4727)
RECORD_ROUTE = bytes([1, 7, 39, 4]) + bytes(36)
STREAMS = {
    "odd pieces": (4, ODD, nothing),
    "odd pieces, IPv6": (6, ODD, nothing),
    "segments of 88 bytes": (4, [100_000], option(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)),
    "segments of 536 bytes": (4, [300_000], option(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)),
    "segments of 1001 bytes, IPv6": (6, [300_000], option(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1001)),
    "one byte at a time": (4, [1] * 600, nothing),
    "IPv4 options": (4, ODD, option(socket.IPPROTO_IP, socket.IP_OPTIONS, RECORD_ROUTE)),
    "hop-by-hop options": (6, ODD, option(socket.IPPROTO_IPV6, IPV6_HOPOPTS, PAD8)),
    "destination options": (6, ODD, option(socket.IPPROTO_IPV6, IPV6_DSTOPTS, SKIPPED)),
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_whole_in_both_directions(lab: Lab, name: str) -> None:
    version, pieces, prepare = STREAMS[name]
    source, sink = sockets(lab, version, socket.SOCK_STREAM)
    assert_stream_is_whole(source, sink, ADDRESS[version][CARD], pieces, prepare)


def test_stream_with_explicit_congestion_notification_is_whole(lab: Lab) -> None:
    for netns in lab.namespaces:
        assert run(run_in(netns, ["sysctl", "-qw", "net.ipv4.tcp_ecn=1"])).status == 0
    before = snmp(lab, CARD)["IpExt.InECT0Pkts"]
    source, sink = sockets(lab, 4, socket.SOCK_STREAM)
    assert_stream_is_whole(source, sink, ADDRESS[4][CARD], ODD, nothing)
    assert snmp(lab, CARD)["IpExt.InECT0Pkts"] > before, "the stream was not marked"


def test_stream_through_a_tunnel_is_whole(lab: Lab) -> None:
    source, sink = sockets(lab, 4, socket.SOCK_STREAM)
    assert_stream_is_whole(source, sink, TUNNEL[CARD], ODD, nothing)


@pytest.fixture
def wireguard(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """WireGuard over the link, set up by the commands of docs/security.md; the card's address in it."""
    names = [f"wg{os.getpid()}{letter}" for letter in "hc"]  # their sockets are in one folder
    places = [tmp_path_factory.mktemp(name) for name in names]
    need("wireguard-go")

    def sh(side: int, commands: str) -> str:
        command = run_in(lab.namespaces[side], [need("sh"), "-e", "-c", commands.replace("wg0", names[side])])
        done = subprocess.run(command, cwd=places[side], stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S)
        return done.stdout

    key, *parts = documented_blocks("docs/security.md", "## Secrecy: WireGuard")
    public = [sh(side, key).strip() for side in (HOST, CARD)]
    try:
        for side, part in enumerate(parts):
            sh(side, part.replace("CARD_PUBLIC_KEY", public[CARD]).replace("HOST_PUBLIC_KEY", public[HOST]))
        yield "10.66.0.2"
    finally:
        for side, netns in enumerate(lab.namespaces):  # with its interface WireGuard ends
            run(["ip", "-n", netns, "link", "del", names[side]])


def test_stream_through_wireguard_is_whole(lab: Lab, wireguard: str) -> None:
    source, sink = sockets(lab, 4, socket.SOCK_STREAM)
    assert_stream_is_whole(source, sink, wireguard, ODD, nothing)


def test_stream_to_a_machine_behind_the_card_is_whole(lab: Lab, netns_pair: tuple[str, str]) -> None:
    machine, _ = netns_pair
    card, host = lab.namespaces[CARD], lab.namespaces[HOST]
    ip("link", "add", "lan0", "netns", card, "type", "veth", "peer", "name", "eth0", "netns", machine)
    for netns, device, address in ((card, "lan0", LAN[0]), (machine, "eth0", LAN[1])):
        ip("-n", netns, "address", "add", f"{address}/24", "dev", device)
        ip("-n", netns, "link", "set", device, "up")
    ip("-n", machine, "route", "add", "default", "via", LAN[0])
    ip("-n", host, "route", "add", "10.88.0.0/24", "dev", "tun0")
    assert run(run_in(card, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])).status == 0
    source, other = sockets(lab, 4, socket.SOCK_STREAM)
    other.close()
    with inside(machine):
        sink = socket.socket()
    sink.settimeout(LIMIT_S)
    assert_stream_is_whole(source, sink, LAN[1], ODD, nothing)
    ip("-n", host, "route", "del", "10.88.0.0/24", "dev", "tun0")


@dataclass(frozen=True, slots=True)
class Datagrams:
    """``total`` bytes handed to the kernel at once, to be cut into datagrams of ``size``."""

    size: int
    total: int


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    "what",
    [Datagrams(1, 60), Datagrams(7, 400), Datagrams(555, 30_001), Datagrams(1400, 50_000), Datagrams(1452, 1452 * 40)],
    ids=str,
)
def test_datagrams_that_the_kernel_cuts_arrive_as_they_are(lab: Lab, version: int, what: Datagrams) -> None:
    data = random.Random(what.size).randbytes(what.total)
    wanted = [data[at : at + what.size] for at in range(0, len(data), what.size)]
    source, sink = sockets(lab, version, socket.SOCK_DGRAM)
    with source, sink:
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sink.bind((ADDRESS[version][CARD], 0))
        source.connect(sink.getsockname()[:2])
        source.setsockopt(SOL_UDP, UDP_SEGMENT, what.size)
        assert source.send(data) == len(data)
        assert [sink.recv(65536) for _ in wanted] == wanted


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_of_every_kind_of_length_arrive(lab: Lab, version: int) -> None:
    source, sink = sockets(lab, version, socket.SOCK_DGRAM)
    with source, sink:
        sink.bind((ADDRESS[version][CARD], 0))
        source.connect(sink.getsockname()[:2])
        for size in (0, 1, 17, 1451, 1452, 1453, 1472, 1473, 2960, 2961, 9000, 65_487):
            data = random.Random(size).randbytes(size)
            source.send(data)
            assert sink.recv(65536) == data, size


def test_unknown_protocol_crosses(lab: Lab) -> None:
    source, sink = sockets(lab, 4, socket.SOCK_RAW, 253)  # for experiments (RFC 3692)
    with source, sink:
        for number in range(50):
            payload = struct.pack("!I", number) * (1 + number * 7)
            source.sendto(payload, (ADDRESS[4][CARD], 0))
            assert sink.recv(65536)[20:] == payload
