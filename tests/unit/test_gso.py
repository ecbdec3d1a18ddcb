"""A super-packet is cut into wire packets: nothing lost, nothing repeated, every checksum right."""

from __future__ import annotations

import struct

import pytest

from vnetcard.tap.gso import segments

V4 = bytes.fromhex("4500000012344000400600000a0a0a010a0a0a05")
V6 = bytes.fromhex("6000000000000640" + "fd00" + "00" * 13 + "01" + "fd00" + "00" * 13 + "05")
TCP = struct.pack("!HHIIBBHHH", 1234, 5201, 0xFFFFFF00, 7, 0x50, 0x99, 500, 0, 0)
UDP = struct.pack("!HHHH", 1234, 53, 0, 0)


def total(data: bytes) -> int:
    """The ones' complement sum; 0xffff where a checksum in it is right."""
    padded = data + b"\0" * (len(data) % 2)
    value: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def super_packet(version: int, transport: bytes, size: int) -> tuple[bytes, bytes, bytes]:
    """A packet of ``size`` bytes of data, that data, and the start of its transport header."""
    data = bytes(n * 7 & 0xFF for n in range(size))
    head = bytearray(V4 if version == 4 else V6)
    head[9 if version == 4 else 6] = 6 if transport is TCP else 17
    length = len(head) + len(transport) + size
    struct.pack_into("!H", head, 2 if version == 4 else 4, length if version == 4 else length - 40)
    return bytes(head) + transport + data, data, bytes(head)


def vnet(version: int, transport: bytes, size: int) -> bytes:
    kind = (1 if version == 4 else 4) if transport is TCP else 5
    return struct.pack("<BBHHHH", 1, kind, 0, size, 20 if version == 4 else 40, 16 if transport is TCP else 6)


@pytest.mark.parametrize("size", [1, 1448, 1449, 5000, 30_001])
@pytest.mark.parametrize("transport", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize("version", [4, 6])
def test_segments_are_whole_packets_with_right_sums(version: int, transport: bytes, size: int) -> None:
    packet, data, head = super_packet(version, transport, size)
    found = segments(packet, vnet(version, transport, 1448))
    start, header = len(head), len(head) + len(transport)
    assert b"".join(one[header:] for one in found) == data
    assert [len(one) - header for one in found[:-1]] == [1448] * (len(found) - 1)
    for n, one in enumerate(found):
        if version == 4:
            assert struct.unpack_from("!H", one, 2)[0] == len(one)
            assert struct.unpack_from("!H", one, 4)[0] == 0x1234 + n
            assert total(one[:20]) == 0xFFFF
        else:
            assert struct.unpack_from("!H", one, 4)[0] == len(one) - 40
        addresses = one[12:20] if version == 4 else one[8:40]
        protocol = 6 if transport is TCP else 17
        assert total(addresses + struct.pack("!IHH", len(one) - start, 0, protocol) + one[start:]) == 0xFFFF
        if transport is TCP:
            assert struct.unpack_from("!I", one, start + 4)[0] == (0xFFFFFF00 + 1448 * n) & 0xFFFFFFFF
            assert bool(one[start + 13] & 0x09) == (n == len(found) - 1), "PSH and FIN are the last one's"
            assert bool(one[start + 13] & 0x80) == (n == 0), "CWR is the first one's"
        else:
            assert struct.unpack_from("!H", one, start + 4)[0] == len(one) - start


def test_plain_packet_with_a_partial_sum_is_completed() -> None:
    packet, _, head = super_packet(4, UDP, 100)
    seed = total(head[12:20] + struct.pack("!HH", 17, 108))
    partial = packet[:26] + struct.pack("!H", seed) + packet[28:]
    (whole,) = segments(partial, struct.pack("<BBHHHH", 1, 0, 0, 0, 20, 6))
    assert total(whole[12:20] + struct.pack("!HH", 17, 108) + whole[20:]) == 0xFFFF


@pytest.mark.parametrize(
    "header",
    [
        b"",
        bytes(10),
        struct.pack("<BBHHHH", 1, 1, 0, 0, 20, 16),
        struct.pack("<BBHHHH", 1, 1, 0, 1448, 60_000, 16),
        struct.pack("<BBHHHH", 1, 77, 0, 1448, 0, 0),
        struct.pack("<BBHHHH", 0, 1, 0, 1448, 20, 16),
    ],
)
def test_invalid_header_leaves_one_packet(header: bytes) -> None:
    packet, _, _ = super_packet(4, TCP, 3000)
    assert len(segments(packet, header)) == 1


def test_no_header_causes_an_exception() -> None:
    packet, _, _ = super_packet(4, TCP, 300)
    for start in range(0, 330, 7):
        for kind in range(8):
            for offset in (0, 6, 16, 400):
                assert segments(packet, struct.pack("<BBHHHH", 1, kind, 0, 7, start, offset))


@pytest.mark.parametrize(("offset", "wanted"), [(16, 0), (6, 0xFFFF)], ids=["tcp", "udp"])
def test_checksum_of_0_is_replaced_for_udp_only(offset: int, wanted: int) -> None:
    """The payload's last word makes the sum what its complement hides."""
    header = bytes((0x45, 0, 0, 42, 0, 0, 0, 0, 64, 6 if offset == 16 else 17, 0, 0)) + bytes(8)
    vnet = struct.pack("<BBHHHH", 1, 0, 0, 0, 20, offset)
    transport = b"\x12\x34" + bytes(18)
    (first,) = segments(header + transport + bytes(2), vnet)
    word = first[20 + offset : 22 + offset]
    (second,) = segments(header + transport + word, vnet)
    assert int.from_bytes(second[20 + offset : 22 + offset], "big") == wanted
