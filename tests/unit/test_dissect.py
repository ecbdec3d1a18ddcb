"""Descriptions of packets, from their first bytes, wherever these end."""

from __future__ import annotations

import struct

import pytest

from vnetcard.ring import ethernet
from vnetcard.ring.dissect import describe_offload, describe_packet, describe_sample, describe_violation, flow_of

PING = bytes.fromhex("4500001c00010000400166cc0a0a0a010a0a0a050800f7fe00000001")
UDP = bytes.fromhex("4500001c0001000040116fbf0a0a0a010a0a0a0504d2003500080000")
TCP = bytes.fromhex("45000028000100004006cccd0a0a0a010a0a0a05c576001600000000000000005002000000000000")
V6_ENDS = bytes.fromhex("fd" + 14 * "00" + "01" + "fd" + 14 * "00" + "05")


def ipv6(next_header: int, rest: bytes) -> bytes:
    return b"\x60\0\0\0" + struct.pack("!HBB", len(rest), next_header, 64) + V6_ENDS + rest


def later_fragment(packet: bytes) -> bytes:
    """``packet`` with a fragment offset of 64 bytes."""
    return packet[:6] + b"\x00\x08" + packet[8:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PING, "10.10.10.1 > 10.10.10.5: ICMP echo request, seq 1"),
        (PING[:20], "10.10.10.1 > 10.10.10.5: ICMP"),
        (UDP, "10.10.10.1.1234 > 10.10.10.5.53: UDP, length 0"),
        (UDP[:24], "10.10.10.1.1234 > 10.10.10.5.53: UDP"),
        (TCP, "10.10.10.1.50550 > 10.10.10.5.22: TCP [S], seq 0"),
        (b"", "no IP packet: no bytes kept"),
        (b"\x00\x01", "no IP packet: 00 01"),
        (b"\x45\x00", "no IP packet: 45 00"),
        (ipv6(58, b"\x80" + bytes(6) + b"\x09"), "fd00::1 > fd00::5: ICMPv6 echo request, seq 9"),
        (ipv6(0, b"\x11\x00" + bytes(6) + UDP[20:]), "fd00::1.1234 > fd00::5.53: UDP, length 0"),
        (PING[:9] + b"\x84" + PING[10:], "10.10.10.1 > 10.10.10.5: IP protocol 132"),
    ],
)
def test_packet_is_described_by_addresses_ports_and_transport(data: bytes, words: str) -> None:
    assert describe_packet(data) == words


@pytest.mark.parametrize("packet", [PING, UDP, TCP])
def test_later_fragment_has_no_ports(packet: bytes) -> None:
    """RFC 791: only the first fragment carries the transport header; what stands there in others is payload."""
    assert describe_packet(later_fragment(packet)) == "10.10.10.1 > 10.10.10.5: fragment"
    assert describe_sample(later_fragment(packet), 1500) == "10.10.10.1 > 10.10.10.5: fragment, 1500 bytes"
    assert flow_of(later_fragment(packet)) is None


def test_ipv6_fragments_have_ports_only_in_the_first() -> None:
    first, later = (ipv6(44, struct.pack("!BBHI", 17, 0, offset << 3 | 1, 7) + UDP[20:]) for offset in (0, 8))
    assert describe_packet(first) == "fd00::1.1234 > fd00::5.53: UDP, length 0"
    assert describe_packet(later) == "fd00::1 > fd00::5: fragment"


def test_packet_cut_anywhere_is_described() -> None:
    for packet in (PING, UDP, TCP, ipv6(44, bytes(20)), ipv6(0, bytes(20)), b"\x4f" + bytes(60), bytes(range(64))):
        assert all(describe_packet(packet[:n]) for n in range(len(packet) + 1))


def test_sample_says_how_long_the_whole_packet_was() -> None:
    assert describe_sample(PING, 84) == "10.10.10.1 > 10.10.10.5: ICMP echo request, seq 1, 84 bytes"


def test_sample_of_a_packet_that_was_read_in_part_has_the_length_of_its_header() -> None:
    too_big = PING[:2] + (4028).to_bytes(2, "big") + PING[4:]
    assert describe_sample(too_big, 1501).endswith("seq 1, 4028 bytes")
    assert describe_sample(ipv6(17, bytes(2000))[:60], 1501).endswith(", 2040 bytes")


def test_violation_is_described_by_the_index_or_the_record_header() -> None:
    assert describe_violation("viol_prod", b"\x07\0\0\0") == "prod 0x7"
    header = bytes.fromhex("00001000 0000 0a00 05000000 00000000".replace(" ", ""))
    assert describe_violation("viol_len", header) == (
        "record header: len 1048576, flags 0x0, hdr_len 10, seq 5, crc32c 0x0"
    )


def test_flow_of_cut_packets_is_unknown_or_right() -> None:
    tcp6 = ipv6(6, TCP[20:])
    assert flow_of(tcp6) == frozenset({("fd00::1", 50550), ("fd00::5", 22)})
    for packet in (tcp6, TCP):
        for length in range(len(packet)):
            assert flow_of(packet[:length]) in (None, flow_of(packet))


def test_offload_is_described() -> None:
    assert describe_offload(struct.pack("<BBHHHH", 1, 1, 52, 1448, 20, 16)) == "GSO TCP, segments of 1448"
    assert describe_offload(struct.pack("<BBHHHH", 1, 0, 0, 0, 20, 16)) == "checksum left to the receiver"
    assert describe_offload(bytes(10)) == describe_offload(b"") == ""


# --- Ethernet ----------------------------------------------------------------------------------------

HEADER = bytes.fromhex("ffffffffffff 02005e000001")
TAG = bytes.fromhex("8100 0064")
REQUEST = bytes.fromhex("0001 0800 06 04 0001 02005e000001 0a0a0a01 000000000000 0a0a0a05")


def test_frame_is_described_with_its_vlans() -> None:
    frame = HEADER + b"\x08\x00" + PING
    words = describe_packet(PING)
    assert describe_packet(frame, ethernet=True) == words
    tagged = HEADER + TAG + b"\x08\x00" + PING
    assert describe_packet(tagged, ethernet=True) == f"vlan 100, {words}"
    twice = HEADER + bytes.fromhex("88a8 0007") + TAG + b"\x08\x00" + PING
    assert describe_packet(twice, ethernet=True) == f"vlan 7, vlan 100, {words}"
    assert describe_sample(twice, len(twice), ethernet=True) == f"vlan 7, vlan 100, {words}, {len(twice)} bytes"
    assert describe_sample(twice[:64], 22 + 28, ethernet=True).endswith(f", {22 + len(PING)} bytes")


def test_other_frames_are_described() -> None:
    arp = HEADER + b"\x08\x06" + REQUEST
    assert describe_packet(arp, ethernet=True) == "ARP request, who has 10.10.10.5, tell 10.10.10.1"
    reply = arp.replace(b"\x06\x04\x00\x01", b"\x06\x04\x00\x02")
    assert describe_packet(reply, ethernet=True) == "ARP reply, 10.10.10.1 is at 02:00:5e:00:00:01"
    words = "02:00:5e:00:00:01 > ff:ff:ff:ff:ff:ff: EtherType 0x88cc"
    assert describe_packet(HEADER + b"\x88\xcc", ethernet=True) == words


def test_flow_of_a_frame_is_that_of_its_packet() -> None:
    assert flow_of(HEADER + TAG + b"\x08\x00" + TCP, ethernet=True) == flow_of(TCP) is not None


def test_no_cut_of_a_frame_is_a_problem() -> None:
    for frame in (HEADER + TAG + TAG + b"\x86\xdd" + bytes(60), HEADER + b"\x08\x06" + REQUEST):
        for size in range(len(frame) + 1):
            assert describe_packet(frame[:size], ethernet=True)
            assert ethernet.ip_offset(frame[:size]) in (14, 18, 22)
            describe_sample(frame[:size], size, ethernet=True)
            flow_of(frame[:size], ethernet=True)
