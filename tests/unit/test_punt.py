"""The rx pump hands packets that a filter picks to a program; what the program sends goes into the port."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.unit.memories import KINDS
from tests.unit.pump_harness import Host
from tests.unit.test_peer_filter import ECHO6, UNREACHABLE4, drops, ipv4, ipv6
from vnetcard.agent.punt import Punt
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port import unix_socket
from vnetcard.port.client import PortClient
from vnetcard.ring import layout as L

LIMIT = 60.0
"""Seconds for what takes milliseconds."""
ICMP, UDP, ICMP6 = ipv4(UNREACHABLE4), ipv4(bytes(8), protocol=17), ipv6(ECHO6)
ETHERNET = bytes(range(12))


@contextmanager
def punting(
    path: Path, text: str, *, kind: str = "coherent", bypass: bool = False, frames: str = "IP"
) -> Iterator[tuple[Host, Punt]]:
    with ExitStack() as stack:
        one = stack.enter_context(closing(Host(kind=kind, frames=L.FRAMES[frames])))
        punt = Punt(PuntRule(text, str(path), bypass), one.port)
        stack.callback(punt.close)
        stack.callback(one.endpoints.close)
        one.begin(1, 2)
        one.endpoints.hold()
        punt.attach(one.endpoints.rx)
        one.endpoints.run()
        yield one, punt


@contextmanager
def program(path: Path, punt: Punt) -> Iterator[PortClient]:
    with PortClient.open(path) as client:
        until(lambda: punt.view()["program"], "the program is connected")
        yield client
    until(lambda: not punt.view()["program"], "the program has closed")


def push(one: Host, *packets: bytes) -> None:
    for packet in packets:
        until(lambda packet=packet: one.to_host.try_push(packet), "the ring has room")  # type: ignore[misc]


def at_port(one: Host) -> bytes:
    assert select.select([one.port.far], [], [], LIMIT)[0]
    return one.port.far.recv(L.FRAME_MAX)


@pytest.mark.parametrize("kind", KINDS)
def test_program_gets_what_the_filter_picks_and_the_port_the_rest(tmp_path: Path, kind: str) -> None:
    with punting(tmp_path / "p", "icmp or icmp6", kind=kind) as (one, punt), program(tmp_path / "p", punt) as client:
        for _ in range(20):
            push(one, ICMP, UDP, ICMP6, b"\x20 no IP packet")
            assert [client.recv(timeout=LIMIT) for _ in range(2)] == [ICMP, ICMP6]
            assert [at_port(one) for _ in range(2)] == [UDP, b"\x20 no IP packet"]
        assert punt.view() == {
            "filter": "icmp or icmp6",
            "path": str(tmp_path / "p"),
            "bypass": False,
            "program": True,
            "punted": 40,
            "dropped": 0,
            "returned": 0,
            "return_refused": 0,
        }
        until(lambda: not drops(one), "none is dropped")


def test_filter_sees_frames_where_the_port_has_frames(tmp_path: Path) -> None:
    arp, ip = ETHERNET + b"\x08\x06" + bytes(46), ETHERNET + b"\x08\x00" + ICMP
    with (
        punting(tmp_path / "p", "arp", frames="ETHERNET") as (one, punt),
        program(tmp_path / "p", punt) as client,
    ):
        push(one, ip, arp)
        assert (at_port(one), client.recv(timeout=LIMIT)) == (ip, arp)


def test_filter_sees_the_first_512_bytes(tmp_path: Path) -> None:
    with punting(tmp_path / "p", "ip[511] = 7") as (one, punt), program(tmp_path / "p", punt) as client:
        inside, beyond = (ipv4(bytes(491 + n) + b"\x07" + bytes(400)) for n in (0, 1))
        push(one, beyond, inside)
        assert (at_port(one), client.recv(timeout=LIMIT)) == (beyond, inside)


def test_packets_without_a_program_are_dropped_and_counted(tmp_path: Path) -> None:
    with punting(tmp_path / "p", "icmp") as (one, punt):
        push(one, ICMP, UDP)
        assert at_port(one) == UDP
        until(lambda: drops(one) == {"drop_port_down": 1}, "the drop is counted")
        assert punt.view()["dropped"] == 1


def test_packets_without_a_program_go_to_the_port_with_bypass(tmp_path: Path) -> None:
    with punting(tmp_path / "p", "icmp", bypass=True) as (one, punt):
        push(one, ICMP)
        assert at_port(one) == ICMP
        with program(tmp_path / "p", punt) as client:
            push(one, ICMP)
            assert client.recv(timeout=LIMIT) == ICMP
        push(one, ICMP)
        assert at_port(one) == ICMP
        until(lambda: not drops(one), "none is dropped")


def test_slow_program_delays_no_other_packet(tmp_path: Path) -> None:
    packet = ipv4(bytes(1400))
    with punting(tmp_path / "p", "icmp") as (one, punt), program(tmp_path / "p", punt) as client:
        sent = 0
        while not punt.view()["dropped"]:
            push(one, packet)
            sent += 1
        push(one, UDP)
        assert at_port(one) == UDP
        until(lambda: sum(drops(one).values()) == punt.view()["dropped"], "the drops are counted")
        assert set(drops(one)) == {"drop_port_refused"}
        view = punt.view()
        assert view["punted"] + view["dropped"] == sent
        assert [client.recv(timeout=LIMIT) for _ in range(view["punted"])] == [packet] * view["punted"]


def test_what_the_program_sends_goes_into_the_port_and_what_fails_is_counted(tmp_path: Path) -> None:
    with punting(tmp_path / "p", "icmp") as (one, punt):
        with program(tmp_path / "p", punt) as client:
            for n in range(200):
                client.send(b"E returned %d" % n)
        assert [at_port(one) for _ in range(200)] == [b"E returned %d" % n for n in range(200)]
        with program(tmp_path / "p", punt) as client:
            one.port.far.close()
            client.send(b"E packet")
            until(lambda: punt.view()["return_refused"] == 1, "the packet is counted")
        assert punt.view()["returned"] == 200


class Counting:
    """A receiver of packets that keeps them."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def connected(self, present: bool) -> None:
        del present

    def receive(self, packet: bytes) -> None:
        self.packets.append(packet)


def test_end_after_the_poll_is_no_packet() -> None:
    """A program that sends and closes at once: the poll saw its packet, and the end came later."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near:
        near.setblocking(False)
        for message in (b"E first", b"", b"E last"):
            far.send(message)
        far.close()
        receiver = Counting()
        assert unix_socket._hand_on(near, receiver, ends=0)
        assert receiver.packets == [b"E first", b"", b"E last"]


def test_impossible_messages_and_a_second_program_harm_nothing(tmp_path: Path) -> None:
    with punting(tmp_path / "p", "icmp") as (one, punt), program(tmp_path / "p", punt) as client:
        with PortClient.open(tmp_path / "p") as other:
            assert list(other) == []
        client._socket.send(b"")
        client._socket.send(bytes(L.FRAME_MAX + 1))
        client.send(b"E packet")
        assert at_port(one) == b"E packet"
        until(lambda: (punt.view()["returned"], punt.view()["return_refused"]) == (1, 2), "each is counted")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("icmp=unix:/run/p", PuntRule("icmp", "/run/p")),
        (" tcp[13] = 2 =unix:/run/p?bypass=on", PuntRule("tcp[13] = 2", "/run/p", bypass=True)),
        ("port 7=unix:/a=unix:/b?bypass=off", PuntRule("port 7=unix:/a", "/b")),
    ],
)
def test_rule_is_parsed(text: str, rule: PuntRule) -> None:
    assert PuntRule.parse(text) == rule


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("icmp", ErrorCode.BAD_URL),
        ("icmp=/run/p", ErrorCode.BAD_URL),
        ("icmp=unix:", ErrorCode.BAD_URL),
        ("icmp=unix:?bypass=on", ErrorCode.BAD_URL),
        ("icmp=unix:/p?bypass=maybe", ErrorCode.BAD_URL),
        ("icmp=unix:/p?queue=1", ErrorCode.BAD_URL),
        ("=unix:/p", ErrorCode.BAD_FILTER),
        ("", ErrorCode.BAD_URL),
    ],
)
def test_broken_rule_is_refused(text: str, code: ErrorCode) -> None:
    with pytest.raises(ConfigError, match="--punt") as refused:
        PuntRule.parse(text)
    assert refused.value.code == code


@pytest.mark.parametrize(("text", "code"), [("no such word", ErrorCode.BAD_FILTER), ("icmp", ErrorCode.BAD_URL)])
def test_punt_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, text: str, code: ErrorCode) -> None:
    path = str(tmp_path / "p") if code == ErrorCode.BAD_FILTER else "not/absolute"
    with closing(Host()) as one, pytest.raises(ConfigError) as refused:
        Punt(PuntRule(text, path), one.port)
    assert refused.value.code == code
    assert not any(tmp_path.iterdir())
