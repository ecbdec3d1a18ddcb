"""vnc_finish.h finishes packets as a second implementation does, and touches nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need_root
from tests.harness.programs import ip
from tests.harness.super_packets import ECN, NEEDS_CSUM, TCPV4, UDP_L4, SuperPacket, super_packet
from tests.unit.c_build import ASAN, SANITIZER_ENV, build, seed
from vnetcard.port.netns import inside
from vnetcard.tap.gso import segments

REFUSED = 0xFFFF_FFFF
Finish = Callable[[list[SuperPacket]], list[list[bytes] | None]]


@pytest.fixture(scope="module")
def finish(tmp_path_factory: pytest.TempPathFactory) -> Finish:
    """Give packets to the C code: the packets that it makes of each; None where it refuses one."""
    program = build(tmp_path_factory.mktemp("finish"), "finish.c", flags=ASAN)

    def run(packets: list[SuperPacket]) -> list[list[bytes] | None]:
        script = b"".join(
            struct.pack("=II", bool(one.lead), len(one.packet)) + one.vnet + one.packet for one in packets
        )
        done = subprocess.run([program], input=script, capture_output=True, env=SANITIZER_ENV, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return list(results(done.stdout, len(packets)))

    return run


def results(out: bytes, count: int) -> list[list[bytes] | None]:
    found: list[list[bytes] | None] = []
    at = 0
    for _ in range(count):
        (pieces,) = struct.unpack_from("=I", out, at)
        at += 4
        if pieces == REFUSED:
            found.append(None)
            continue
        one = []
        for _ in range(pieces):
            (size,) = struct.unpack_from("=I", out, at)
            one.append(out[at + 4 : at + 4 + size])
            at += 4 + size
        found.append(one)
    assert at == len(out)
    return found


def without_tcp_zero(one: SuperPacket, piece: bytes) -> bytes:
    """A checksum of TCP may be written as 0 or as 0xffff: both mean the same."""
    _, kind, _, _, start, offset = struct.unpack("<BBHHHH", one.vnet)
    field = start + offset
    if kind != UDP_L4 and piece[field : field + 2] == b"\0\0":
        return piece[:field] + b"\xff\xff" + piece[field + 2 :]
    return piece


def test_packets_are_those_of_a_second_implementation(finish: Finish) -> None:
    chance = random.Random(seed())
    packets = [super_packet(chance) for _ in range(400)]
    for one, made in zip(packets, finish(packets), strict=True):
        expected = segments(one.packet, one.vnet, lead=one.lead)
        assert made is not None, one
        assert made == expected, one


PACKET_VNET_HDR, SIOCETHTOOL, ETHTOOL_STXCSUM, SO_RCVBUFFORCE = 15, 0x8946, 0x17, 33
"""Linux include/uapi/linux/if_packet.h, sockios.h, ethtool.h, asm-generic/socket.h."""


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A packet socket that takes super-packets, and what comes out of a veth whose kernel must finish them."""
    need_root()
    netns = f"vnc-finish-{os.getpid()}"
    with contextlib.ExitStack() as made:
        for words in (
            f"netns add {netns}",
            f"-n {netns} link add near mtu 9000 type veth peer name far mtu 9000",
            f"-n {netns} link set near up",
            f"-n {netns} link set far up",
        ):
            ip(*words.split())
            if words.startswith("netns"):
                made.callback(ip, "netns", "del", netns)
        ends = []
        for name, protocol in (("near", 0), ("far", 3)):
            with inside(netns):
                ends.append(made.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)))
            ends[-1].bind((name, protocol))
        near, far = ends
        near.setsockopt(263, PACKET_VNET_HDR, 1)
        command = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_STXCSUM, 0), 8)
        fcntl.ioctl(near, SIOCETHTOOL, struct.pack("16sP16x", b"near", ctypes.addressof(command)))
        far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)  # all packets of the largest one
        far.settimeout(20)
        yield near, far


@pytest.mark.root
def test_packets_are_those_of_the_kernel(finish: Finish, wire: tuple[socket.socket, socket.socket]) -> None:
    """Of an interface without offloads: the kernel cuts and sums before it hands them to the driver."""
    near, far = wire
    chance = random.Random(seed())
    packets = [super_packet(chance, ethernet=True, tagged=False) for _ in range(60)]
    for one, made in zip(packets, finish(packets), strict=True):
        assert made is not None
        near.send(one.vnet + one.packet)
        for piece in made:
            while (got := far.recv(1 << 17))[:12] != one.packet[:12]:  # the kernel's own
                pass
            assert without_tcp_zero(one, got) == without_tcp_zero(one, piece), one


def test_checksum_comes_from_the_addresses_where_the_sender_left_none(finish: Finish) -> None:
    """As of a list of packets that the kernel has merged (SKB_GSO_FRAGLIST): no partial checksum."""
    chance = random.Random(seed())
    packets = [one for one in (super_packet(chance, payload=9001) for _ in range(50)) if one.vnet[1]]
    plain = [SuperPacket(b"\0" + one.vnet[1:6] + bytes(4), one.packet, one.lead) for one in packets]
    assert finish(plain) == finish(packets)


def test_hostile_headers_touch_nothing_outside_the_packet(finish: Finish) -> None:
    """The sanitizers watch; what is accepted has all of the payload once."""
    chance = random.Random(seed())
    packets = []
    for _ in range(3000):
        one = super_packet(chance, payload=chance.choice((0, 1, 100, 2000)))
        packet, vnet = bytearray(one.packet), bytearray(one.vnet)
        for _ in range(chance.randrange(1, 4)):
            where = vnet if chance.random() < 0.5 else packet
            at = chance.randrange(min(len(where), 100))
            where[at] = chance.choice((0, 1, 4, 5, 0x45, 0x60, 0xFF, where[at] ^ 1 << chance.randrange(8)))
        cut = chance.choice((len(packet), len(packet), chance.randrange(len(packet) + 1)))
        packets.append(SuperPacket(bytes(vnet), bytes(packet[:cut]), one.lead))
    made = finish(packets)
    assert None in made and any(made)
    for one, pieces in zip(packets, made, strict=True):
        kind, size = one.vnet[1], int.from_bytes(one.vnet[4:6], "little")
        if pieces is not None and kind and len(pieces) > 1:
            head = len(pieces[0]) - size
            assert b"".join(piece[head:] for piece in pieces) == one.packet[head:]


GOOD = next(
    one
    for one in (super_packet(random.Random(n), ethernet=True, tagged=False, payload=3001) for n in range(100))
    if one.vnet[1] == TCPV4
)


def changed(at: int, value: int, *, vnet: bool = False) -> SuperPacket:
    where = bytearray(GOOD.vnet if vnet else GOOD.packet)
    where[at] = value
    return SuperPacket(bytes(where) if vnet else GOOD.vnet, GOOD.packet if vnet else bytes(where), GOOD.lead)


@pytest.mark.parametrize(
    ("why", "packet"),
    [
        ("unknown kind", changed(1, 3, vnet=True)),
        ("UDP with ECN", changed(1, UDP_L4 | ECN, vnet=True)),
        ("another protocol", changed(1, UDP_L4, vnet=True)),
        ("another IP version", changed(1, 5 - GOOD.vnet[1], vnet=True)),
        ("a checksum elsewhere", changed(6, GOOD.vnet[6] + 2, vnet=True)),
        ("another field", changed(8, 6, vnet=True)),
        ("another EtherType", changed(13, 6)),
        ("no IP version", changed(14, 0x55)),
        ("TCP options beyond the packet", SuperPacket(GOOD.vnet, GOOD.packet[:40], GOOD.lead)),
        ("nothing", SuperPacket(GOOD.vnet, b"", GOOD.lead)),
    ],
)
def test_what_does_not_fit_is_refused(finish: Finish, why: str, packet: SuperPacket) -> None:
    good, refused = finish([GOOD, packet])
    assert good is not None and refused is None, why


def test_partial_checksum_outside_the_packet_is_refused(finish: Finish) -> None:
    for start, offset in ((0xFFFF, 0), (0, 0xFFFF), (99, 0), (100, 0), (90, 9)):
        vnet = struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, start, offset)
        assert finish([SuperPacket(vnet, bytes(100), 0)]) == [None]


@pytest.mark.parametrize("name", ["vnc_finish.h"])
def test_header_needs_no_other_source(tmp_path: Path, name: str) -> None:
    source = tmp_path / "alone.c"
    source.write_text(f'#include "{name}"\nint main(void) {{ return 0; }}\n')
    assert build(tmp_path, str(source)).exists()
