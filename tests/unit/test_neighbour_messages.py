"""ARP and neighbour discovery: what is written is what scapy writes, and what is not valid is refused."""

from __future__ import annotations

import ipaddress

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP

from vnetcard.port import neighbour_messages as messages
from vnetcard.port.neighbour_messages import Message, parse_arp, parse_discovery

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
FOUR = tuple(ipaddress.ip_address(text).packed for text in ("10.0.0.7", "10.0.0.9"))
SIX = tuple(ipaddress.ip_address(text).packed for text in ("fd00::7", "fd00::1:2345"))


def text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


@pytest.mark.parametrize("asks", [True, False])
def test_arp_is_that_of_another_implementation(asks: bool) -> None:
    written = messages.arp(asks, MAC, FOUR[0], OTHER, FOUR[1])
    other = ARP(op=1 if asks else 2, hwsrc=MAC.hex(":"), psrc=text(FOUR[0]), hwdst=OTHER.hex(":"), pdst=text(FOUR[1]))
    assert written == bytes(other)
    assert parse_arp(written) == Message(FOUR[1] if asks else b"", FOUR[0], MAC, asker=FOUR[0])


def test_discovery_is_that_of_another_implementation() -> None:
    group = messages.solicited_group(SIX[1])
    head = IPv6(src=text(SIX[0]), dst=text(group), hlim=255)
    other = head / ICMPv6ND_NS(tgt=text(SIX[1])) / ICMPv6NDOptSrcLLAddr(lladdr=MAC.hex(":"))
    assert messages.solicitation(MAC, SIX[0], group, SIX[1]) == bytes(other)
    assert parse_discovery(bytes(other)) == Message(SIX[1], SIX[0], MAC, asker=SIX[0])

    probe = IPv6(src="::", dst=text(group), hlim=255) / ICMPv6ND_NS(tgt=text(SIX[1]))
    assert messages.solicitation(MAC, bytes(16), group, SIX[1]) == bytes(probe)
    assert parse_discovery(bytes(probe)) == Message(SIX[1], b"", messages.NO_MAC)

    head = IPv6(src=text(SIX[0]), dst=text(SIX[1]), hlim=255)
    answer = head / ICMPv6ND_NA(tgt=text(SIX[0]), R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC.hex(":"))
    assert messages.advertisement(MAC, SIX[0], SIX[1], solicited=True) == bytes(answer)
    assert parse_discovery(bytes(answer)) == Message(b"", SIX[0], MAC)


def test_question_without_the_askers_mac_address_is_answered_and_teaches_nothing() -> None:
    packet = IPv6(src=text(SIX[0]), dst=text(SIX[1]), hlim=255) / ICMPv6ND_NS(tgt=text(SIX[1]))
    assert parse_discovery(bytes(packet)) == Message(SIX[1], b"", messages.NO_MAC, asker=SIX[0])


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 9), (2, 9), (4, 8), (5, 16), (7, 3), (8, 1)],
    ids=["link", "protocol", "mac", "ip", "operation", "group-mac"],
)
def test_other_arp_is_refused(at: int, value: int) -> None:
    valid = messages.arp(True, MAC, FOUR[0], messages.NO_MAC, FOUR[1])
    assert parse_arp(valid + bytes(18)) == parse_arp(valid) is not None, "a frame has padding"
    broken = bytearray(valid)
    broken[at] = value
    assert parse_arp(bytes(broken)) is None
    assert parse_arp(valid[:-1]) is None


def fixed(packet: bytearray) -> bytes:
    """``packet`` with the checksum that fits."""
    packet[42:44] = bytes(2)
    value = messages.checksum(bytes(packet[8:24]), bytes(packet[24:40]), bytes(packet[40:]))
    packet[42:44] = value.to_bytes(2, "big")
    return bytes(packet)


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 0x40), (5, 40), (6, 17), (7, 64), (40, 134), (41, 1), (48, 0xFF), (65, 0), (65, 2), (66, 3)],
    ids=["version", "length", "protocol", "hops", "type", "code", "target", "no-option", "long-option", "group-mac"],
)
def test_other_discovery_is_refused(at: int, value: int) -> None:
    valid = bytearray(messages.advertisement(MAC, SIX[0], SIX[1], solicited=True))
    assert parse_discovery(fixed(valid)) is not None
    valid[at] = value
    assert parse_discovery(fixed(valid)) is None


def test_wrong_checksum_and_answer_to_a_group_that_claims_to_be_asked_for_are_refused() -> None:
    valid = bytearray(messages.advertisement(MAC, SIX[0], messages.ALL_NODES, solicited=False))
    assert parse_discovery(bytes(valid)) is not None
    valid[43] ^= 1
    assert parse_discovery(bytes(valid)) is None
    assert parse_discovery(messages.advertisement(MAC, SIX[0], messages.ALL_NODES, solicited=True)) is None
    assert parse_discovery(messages.solicitation(MAC, bytes(16), SIX[1], SIX[1])) is None, "a probe is for the group"
