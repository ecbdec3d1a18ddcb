"""How long a port `packet:IF?frames=ip` believes what it knows of its Ethernet, and whom; its times are shortened.

Both sides of the link are in this process; the far end of the veth is a raw socket, which answers as each test likes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.ip_wire import ETH_P_ALL, packed
from tests.harness.needs import need, need_root
from tests.harness.programs import ip
from tests.harness.restarts import GENEROUS, until
from tests.unit.test_link_session import ticked
from vnetcard import CARD, HOST, LinkSession
from vnetcard.port import open_port, resolver
from vnetcard.port.neighbour_messages import (
    Message,
    advertisement,
    arp,
    group_mac,
    parse_arp,
    parse_discovery,
    solicited_group,
)
from vnetcard.port.netns import inside
from vnetcard.port.packet_ip import IpPacketPort

pytestmark = pytest.mark.root

OWN = {4: packed("10.0.0.7"), 6: packed("fd00::7")}
FAR = {4: packed("10.0.0.9"), 6: packed("fd00::9")}
A, B = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
TYPE = {4: b"\x08\x00", 6: b"\x86\xdd"}
_names = itertools.count()


class Ethernet:
    """The far end; ``send`` is the peer's program at the other side of the link."""

    def __init__(self, netns: str, session: LinkSession, port: IpPacketPort, end: socket.socket) -> None:
        self.netns, self.session, self.port, self._end = netns, session, port, end
        self.mac = own_mac(netns)

    def send(self, to: bytes, mark: int = 0) -> None:
        """A packet of the peer."""
        assert self.session.send(packet_to(to, mark))

    def say(self, version: int, message: bytes, mac: bytes, to: bytes | None = None) -> None:
        """A message of the machine with ``mac``."""
        kind = b"\x08\x06" if version == 4 else TYPE[6]
        self._end.send((to or self.mac) + mac + kind + message)

    def claim(self, address: bytes, mac: bytes, *, to: bytes | None = None, asks: bool = False) -> None:
        """``mac`` says that it has ``address``; ``asks``: in a question for the port's address."""
        if len(address) == 4:
            self.say(4, arp(asks, mac, address, self.mac, OWN[4]), mac, to)
        else:
            self.say(6, advertisement(mac, address, OWN[6], solicited=True), mac, to)

    def frames(self, wanted: Callable[[bytes], bool], *, meanwhile: Callable[[], object] | None = None) -> bytes:
        """The next frame of the port that is ``wanted``."""
        deadline = time.monotonic() + GENEROUS
        while time.monotonic() < deadline:
            if meanwhile is not None:
                meanwhile()
            with contextlib.suppress(TimeoutError):
                frame = self._end.recv(4000)
                if frame[6:12] == self.mac and wanted(frame):
                    return frame
        raise AssertionError("no such frame came")

    def question(self, address: bytes, mac: bytes | None = None, **how: Callable[[], object]) -> bytes:
        """The next question for ``address``: to ``mac`` alone, or to all."""
        all_of_it = b"\xff" * 6 if len(address) == 4 else group_mac(solicited_group(address))

        def wanted(frame: bytes) -> bool:
            message = message_in(frame)
            return message is not None and message.asked == address and frame[:6] == (mac or all_of_it)

        return self.frames(wanted, **how)

    def packet(self, to: bytes, mac: bytes, mark: int = 0) -> None:
        """The next frame is a packet of the peer, or it comes behind questions."""
        sent = packet_to(to, mark)
        frame = self.frames(lambda frame: frame.endswith(sent[-24:]))
        assert (frame[:6], frame[14:]) == (mac, sent)


def packet_to(to: bytes, mark: int) -> bytes:
    if len(to) == 4:
        return bytes.fromhex("4500002c0000000040fd0000") + OWN[4] + to + bytes([mark]) * 24
    return bytes.fromhex("600000000018fd40") + OWN[6] + to + bytes([mark]) * 24


def message_in(frame: bytes) -> Message | None:
    return parse_arp(frame[14:]) if frame[12:14] == b"\x08\x06" else parse_discovery(frame[14:])


def owner_in(frame: bytes) -> bytes:
    message = message_in(frame)
    return b"" if message is None else message.owner


@pytest.fixture
def ethernet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ethernet]:
    need_root()
    need("ip")
    monkeypatch.setattr(resolver, "REACHABLE_TIME", 0.3)
    monkeypatch.setattr(resolver, "ASK_INTERVAL", 0.1)
    monkeypatch.setattr(resolver, "PROBE_TIME", 0.1)
    name = f"vnc-near-{os.getpid()}-{next(_names)}"
    window = f"shm:near-{secrets.token_hex(4)}+64K"
    ip("netns", "add", name)
    try:
        with inside(name), contextlib.suppress(OSError):
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        ip("-n", name, "link", "add", "near", "up", "type", "veth", "peer", "name", "far")
        ip("-n", name, "link", "set", "far", "up")
        url = "packet:near?frames=ip&address=10.0.0.7/24&address=fd00::7/64&address=10.1.0.7/16"
        with inside(name):
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with end, contextlib.closing(open_port(url, netns=name)) as port:
            assert isinstance(port, IpPacketPort) and port.present
            end.bind(("far", ETH_P_ALL))
            end.settimeout(0.05)
            with ticked(LinkSession(window, CARD, port=port)), LinkSession(window, HOST) as host:
                host.wait_up(GENEROUS)
                yield Ethernet(name, host, port, end)
    finally:
        ip("netns", "del", name)


def own_mac(netns: str) -> bytes:
    shown = ip("-n", netns, "-o", "link", "show", "near")
    return bytes.fromhex(shown.split("link/ether ")[1].split()[0].replace(":", ""))


@pytest.mark.parametrize("version", [4, 6])
def test_neighbour_is_asked_again_alone_and_then_by_all(ethernet: Ethernet, version: int) -> None:
    far = FAR[version]
    ethernet.send(far, 1)
    ethernet.question(far)
    ethernet.claim(far, A)
    ethernet.packet(far, A, 1)
    ethernet.question(far, A, meanwhile=lambda: ethernet.send(far, 2))  # once it is stale
    ethernet.claim(far, A)
    for _ in range(resolver.ASK_COUNT):  # and it does not answer the next time
        ethernet.question(far, A, meanwhile=lambda: ethernet.send(far, 3))
    ethernet.question(far, meanwhile=lambda: ethernet.send(far, 4))
    ethernet.claim(far, B)
    ethernet.packet(far, B, 4)


@pytest.mark.parametrize("version", [4, 6])
def test_only_known_neighbours_are_updated(ethernet: Ethernet, version: int) -> None:
    """What was not asked for enters nothing; it changes what is known."""
    far = FAR[version]
    to_all = b"\xff" * 6 if version == 4 else group_mac(packed("ff02::1"))
    ethernet.claim(far, A, to=to_all)
    ethernet.send(far, 1)
    ethernet.question(far)
    ethernet.claim(far, A)
    ethernet.packet(far, A, 1)
    ethernet.claim(far, B)
    ethernet.frames(lambda frame: frame[:6] == B, meanwhile=lambda: ethernet.send(far, 2))


def test_advertisement_that_does_not_override_changes_nothing(ethernet: Ethernet) -> None:
    far = FAR[6]
    ethernet.send(far, 1)
    ethernet.question(far)
    ethernet.claim(far, A)
    ethernet.packet(far, A, 1)
    mild = bytearray(advertisement(B, far, OWN[6], solicited=True))
    mild[44] &= 0xDF  # the flag, and its part of the checksum
    mild[42:44] = ((int.from_bytes(mild[42:44], "big") + 0x2000 - 1) % 0xFFFF + 1).to_bytes(2, "big")
    assert parse_discovery(bytes(mild)) == Message(b"", far, B, override=False)
    ethernet.say(6, bytes(mild), B)
    ethernet.question(far, A, meanwhile=lambda: ethernet.send(far, 2))


def test_oldest_of_256_neighbours_makes_room(ethernet: Ethernet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them asks for the port, which is how it becomes known."""
    monkeypatch.setattr(resolver, "REACHABLE_TIME", 1000.0)
    many = [ipaddress.ip_address(f"10.1.{n // 200}.{n % 200 + 9}").packed for n in range(resolver.NEIGHBOURS_MAX + 1)]
    for n, address in enumerate(many):
        ethernet.claim(address, A[:4] + n.to_bytes(2, "big"), asks=True)
        ethernet.frames(lambda frame, n=n: frame[:6] == A[:4] + n.to_bytes(2, "big"))  # type: ignore[misc]
    assert ethernet.port.known() == resolver.NEIGHBOURS_MAX
    for n in (1, 256):
        ethernet.send(many[n], n % 7)
        ethernet.packet(many[n], A[:4] + n.to_bytes(2, "big"), n % 7)
    ethernet.send(many[0], 9)
    ethernet.question(many[0])


def test_what_waits_is_counted_when_the_interface_has_another_address(ethernet: Ethernet) -> None:
    ethernet.send(FAR[4])
    ethernet.question(FAR[4])
    ip("-n", ethernet.netns, "link", "set", "near", "address", "02:00:00:00:00:01")
    until(lambda: ethernet.port.present and ethernet.port.unresolved() == {4: 1, 6: 0}, "the packet is counted")
    ethernet.mac = own_mac(ethernet.netns)
    for own in OWN.values():  # it asks whether another machine has its addresses, and then announces them
        ethernet.question(own)
    announced: set[bytes] = set()
    while not announced >= set(OWN.values()):
        announced.add(owner_in(ethernet.frames(lambda frame: owner_in(frame) != b"")))
    ethernet.send(FAR[4], 1)
    ethernet.question(FAR[4])
    ethernet.claim(FAR[4], A)
    ethernet.packet(FAR[4], A, 1)
