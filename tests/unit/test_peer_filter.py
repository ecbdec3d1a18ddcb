"""The rx pump drops packets of sources that are not allowed, and those that would configure this machine."""

from __future__ import annotations

import ipaddress
import random
import select
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.unit.c_build import seed
from tests.unit.memories import KINDS
from tests.unit.pump_harness import Host
from vnetcard.port.address import parse_networks
from vnetcard.ring import layout as L
from vnetcard.ring.counters import RX_DROPS, read_end

LIMIT = 60.0
"""Seconds for what takes milliseconds."""
REDIRECT4 = bytes([5, 1]) + bytes(6)
UNREACHABLE4 = bytes([3, 1]) + bytes(6)
REDIRECT6, ADVERTISEMENT, SOLICITATION, ECHO6 = (bytes([kind]) + bytes(39) for kind in (137, 134, 133, 128))


def ipv4(body: bytes, *, source: str = "10.9.9.5", protocol: int = 1, options: int = 0, offset: int = 0) -> bytes:
    """``options``: words of them; ``offset``: of a fragment, in units of 8 bytes."""
    ends = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address("10.9.9.1").packed
    size = 20 + 4 * options
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 1, offset, 64, protocol, 0)
    return head + ends + bytes([1]) * 4 * options + body


def ipv6(body: bytes, *, source: str = "fd09::5", following: int = 58, hops: int = 255) -> bytes:
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address("fd09::1").packed
    return struct.pack("!IHBB", 6 << 28, len(body), following, hops) + ends + body


def extension(following: int, length: int, body: bytes) -> bytes:
    """An extension header with ``length`` units of 8 bytes behind its first one."""
    return bytes([following, length]) + bytes(6 + 8 * length) + body


def fragment(following: int, offset: int, body: bytes) -> bytes:
    return struct.pack("!BBHI", following, 0, offset << 3 | 1, 7) + body


def chain(count: int, body: bytes) -> bytes:
    """``count`` headers of destination options in front of ICMPv6."""
    for n in range(count):
        body = extension(60 if n else 58, 0, body)
    return body


CONFIGURES = {
    "redirect": ipv4(REDIRECT4),
    "redirect behind IP options": ipv4(REDIRECT4, options=10),
    "first fragment of a redirect": ipv4(REDIRECT4, offset=0x2000),
    "redirect with bytes behind it": ipv4(REDIRECT4 + bytes(900)),
    "redirect of IPv6": ipv6(REDIRECT6),
    "router advertisement": ipv6(ADVERTISEMENT),
    "advertisement behind hop-by-hop options": ipv6(extension(58, 0, ADVERTISEMENT), following=0),
    "advertisement behind a routing header": ipv6(extension(58, 3, ADVERTISEMENT), following=43),
    "advertisement behind 400 bytes of options": ipv6(extension(58, 49, ADVERTISEMENT), following=60),
    "advertisement behind 55 headers": ipv6(chain(55, ADVERTISEMENT), following=60),
    "advertisement in a fragment": ipv6(fragment(58, 0, ADVERTISEMENT), following=44),
    "headers whose end cannot be seen": ipv6(extension(58, 70, ECHO6), following=60),
    "headers beyond the packet": ipv6(extension(58, 30, b"")[:40], following=60),
    "ICMPv6 without a type": ipv6(b""),
}
HARMLESS = {
    "unreachable": ipv4(UNREACHABLE4),
    "unreachable about a redirect": ipv4(UNREACHABLE4 + ipv4(REDIRECT4)),
    "UDP that looks like a redirect": ipv4(REDIRECT4, protocol=17),
    "later fragment": ipv4(REDIRECT4, offset=0x2001),
    "later fragment far behind": ipv4(REDIRECT4, offset=0x0100),
    "redirect inside IPv4 inside IPv4": ipv4(ipv4(REDIRECT4), protocol=4),
    "advertisement from beyond the link": ipv6(ADVERTISEMENT, hops=254),
    "long headers from beyond the link": ipv6(extension(58, 70, ECHO6), following=60, hops=64),
    "echo": ipv6(ECHO6),
    "solicitation": ipv6(SOLICITATION),
    "echo behind options": ipv6(extension(58, 40, ECHO6), following=60),
    "later fragment of IPv6": ipv6(fragment(58, 1, ADVERTISEMENT), following=44),
    "no next header": ipv6(ADVERTISEMENT, following=59),
    "TCP of IPv6": ipv6(ADVERTISEMENT, following=6),
    "first bytes of IPv4": ipv4(b"")[:12],
    "one byte": b"\x60",
    "neither IPv4 nor IPv6": b"E packet".replace(b"E", b"\x20"),
}


@contextmanager
def host(kind: str, *, allow: tuple[str, ...] = (), trusted: bool = False, frames: str = "IP") -> Iterator[Host]:
    with closing(Host(kind=kind, frames=L.FRAMES[frames])) as one:
        one.begin(1, 2)
        one.endpoints.hold()
        one.endpoints.set_limits(512, parse_networks(allow), trust_peer=trusted)
        one.endpoints.run()
        yield one


def drops(one: Host) -> dict[str, int]:
    ledger = read_end(one.memory, "c2h", tx=False).ledger
    assert ledger["rx_received"] == ledger["rx_delivered"] + sum(ledger[name] for name in RX_DROPS)
    return {name: ledger[name] for name in RX_DROPS if ledger[name]}


def fate(one: Host, packet: bytes) -> str:
    """``delivered``, unchanged, or the counter under which ``packet`` of the card was dropped."""
    before = drops(one)
    deadline = time.monotonic() + LIMIT
    while not one.to_host.try_push(packet):
        assert time.monotonic() < deadline, "the ring stays full"
    while time.monotonic() < deadline:
        if select.select([one.port.far], [], [], 0.0005)[0]:
            assert one.port.far.recv(L.FRAME_MAX) == packet
            return "delivered"
        if (now := drops(one)) != before:
            (name,) = (name for name in now if now[name] != before.get(name, 0))
            return name
    raise AssertionError("neither delivered nor dropped")


@pytest.mark.parametrize("kind", KINDS)
def test_what_configures_this_machine_is_dropped(kind: str) -> None:
    with host(kind) as one:
        found = {name: fate(one, packet) for name, packet in (CONFIGURES | HARMLESS).items()}
        assert found == dict.fromkeys(CONFIGURES, "drop_redirect") | dict.fromkeys(HARMLESS, "delivered")
        samples = dict(zip(RX_DROPS, one.endpoints.rx.samples, strict=False))
        assert samples["drop_redirect"][1:] == (40, CONFIGURES["ICMPv6 without a type"])


def test_trusted_peer_may_configure_this_machine() -> None:
    with host("coherent", trusted=True) as one:
        assert {fate(one, packet) for packet in (*CONFIGURES.values(), *HARMLESS.values())} == {"delivered"}


ALLOWED = ("10.9.9.0/29", "192.0.2.7", "fd09::/64", "fe80::5/128", "2001:db8:8000::/33")


@pytest.mark.parametrize("kind", KINDS)
def test_source_outside_the_allowed_networks_is_dropped(kind: str) -> None:
    inside = ["10.9.9.0", "10.9.9.7", "192.0.2.7", "fd09::", "fd09::ffff:0:0:1", "fe80::5", "2001:db8:ffff::1"]
    outside = ["10.9.9.8", "10.9.8.255", "192.0.2.6", "0.0.0.0", "127.0.0.1", "255.255.255.255", "fd09:0:0:1::"]
    outside += ["fe80::6", "::", "::1", "2001:db8:7fff::1", "::ffff:10.9.9.1"]
    with host(kind, allow=ALLOWED) as one:
        for source, want in [*((one, "delivered") for one in inside), *((one, "drop_source") for one in outside)]:
            packet = ipv6(ECHO6, source=source) if ":" in source else ipv4(UNREACHABLE4, source=source)
            assert (source, fate(one, packet)) == (source, want)
        # A header that is not whole has no source; what is no IP is left to the kernel, which refuses it.
        assert fate(one, ipv4(b"")[:19]) == fate(one, ipv6(b"")[:39]) == "drop_source"
        assert fate(one, b"\x20 packet") == "delivered"
        assert fate(one, ipv4(REDIRECT4)) == "drop_redirect"
        assert fate(one, ipv4(REDIRECT4, source="10.0.0.1")) == "drop_source"


def test_allowed_networks_hold_for_a_trusted_peer_and_one_family_only() -> None:
    with host("coherent", allow=("10.9.9.5/32",), trusted=True) as one:
        assert fate(one, ipv4(REDIRECT4)) == "delivered"
        assert fate(one, ipv6(ECHO6)) == "drop_source"
    with host("coherent", allow=("0.0.0.0/0", "::/0")) as one:
        assert fate(one, ipv4(UNREACHABLE4, source="1.2.3.4")) == fate(one, ipv6(ECHO6, source="::")) == "delivered"


def test_as_many_networks_as_the_option_takes() -> None:
    allow = tuple(f"10.8.{n}.0/24" for n in range(64))
    with host("coherent", allow=allow) as one:
        assert fate(one, ipv4(UNREACHABLE4, source="10.8.63.1")) == "delivered"
        assert fate(one, ipv4(UNREACHABLE4, source="10.8.64.1")) == "drop_source"


@pytest.mark.parametrize("kind", KINDS)
def test_packets_of_all_lengths_arrive_unchanged_wherever_the_ring_ends(kind: str) -> None:
    chance = random.Random(seed())
    with host(kind, allow=("10.9.9.0/24", "fd09::/16")) as one:
        for _ in range(400):  # several times round a ring of 16 KiB
            body = chance.randbytes(chance.choice((0, 1, 44, 88, 107, 108, 109, 300, 470, 1200)))
            packet = chance.choice((ipv4(body, protocol=17), ipv6(extension(17, 25, body), following=60)))
            assert fate(one, packet) == "delivered"


# --- Ethernet ----------------------------------------------------------------------------------------

ADDRESSES = bytes.fromhex("02005e000001 02005e000002")
PRIORITY, SERVICE = bytes.fromhex("8100 0000"), bytes.fromhex("88a8 0007")
TAGS = {"untagged": b"", "in a VLAN": PRIORITY, "in two VLANs": SERVICE + PRIORITY}


def frame(packet: bytes, tags: bytes = b"") -> bytes:
    return ADDRESSES + tags + (b"\x86\xdd" if packet[:1] >= b"\x60" else b"\x08\x00") + packet


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_frame_is_judged_by_the_packet_behind_its_vlan_tags(kind: str, tags: bytes) -> None:
    with host(kind, frames="ETHERNET") as one:
        packets = CONFIGURES | {name: packet for name, packet in HARMLESS.items() if packet[:1] >= b"\x40"}
        found = {name: fate(one, frame(packet, tags)) for name, packet in packets.items()}
        assert found == {name: "drop_redirect" if name in CONFIGURES else "delivered" for name in packets}
    with host(kind, frames="ETHERNET", allow=ALLOWED) as one:
        assert fate(one, frame(ipv4(UNREACHABLE4, source="10.9.9.7"), tags)) == "delivered"
        assert fate(one, frame(ipv4(UNREACHABLE4, source="10.9.9.8"), tags)) == "drop_source"
        assert fate(one, frame(ipv6(ECHO6, source="fe80::6"), tags)) == "drop_source"


def test_tags_do_not_hide_a_packet_and_other_protocols_pass() -> None:
    arp = ADDRESSES + b"\x08\x06" + bytes(28)
    for allow, dropped in (((), "drop_redirect"), (ALLOWED, "drop_source")):
        with host("coherent", frames="ETHERNET", allow=allow) as one:
            assert fate(one, arp) == fate(one, ADDRESSES + PRIORITY + b"\x88\xcc") == "delivered"
            for count in (3, 4, 20):
                assert fate(one, frame(ipv4(REDIRECT4), PRIORITY * count)) == dropped
            for short in (ADDRESSES + PRIORITY[:2], ADDRESSES + PRIORITY, ADDRESSES + PRIORITY + b"\x08"):
                assert fate(one, short) == "delivered", "the kernel refuses what is cut"


def test_frame_without_an_ethernet_header_is_dropped() -> None:
    with host("coherent", frames="ETHERNET", trusted=True) as one:
        assert {fate(one, bytes(size)) for size in range(1, 14)} == {"drop_bad_frame"}
        assert fate(one, bytes(14)) == "delivered"


def test_filter_refuses_what_it_cannot_hold_and_stays_as_it_is() -> None:
    with closing(Host()) as one:
        rx = one.endpoints.rx
        for allow in ([(bytes(5), 3)], [(bytes(4), 33)], [(bytes(16), 129)], [(bytes(4), -1)], [(bytes(4), 8)] * 65):
            with pytest.raises(ValueError):
                rx.filter(allow=allow, configuration=False)
        for wrong in (None, [None], [("10.0.0.0", 8, 1)]):
            with pytest.raises(TypeError):
                rx.filter(allow=wrong, configuration=False)  # type: ignore[arg-type]
        one.begin(1, 2)
        with pytest.raises(RuntimeError):
            rx.filter(allow=[], configuration=False)
        assert fate(one, ipv4(REDIRECT4)) == "delivered", "a new pump has no filter"
    with pytest.raises(ValueError):
        rx.filter(allow=[], configuration=False)
