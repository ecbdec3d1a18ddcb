"""Records that a hostile card sends: each wrong in one way, some right, from headers of the ring to those of TCP."""

from __future__ import annotations

import struct
from typing import Final

from tests.adversary.peer import Record
from vnetcard.ring import layout as L
from vnetcard.ring.layout import align_record

CARD, HOST = bytes((10, 10, 10, 5)), bytes((10, 10, 10, 1))
TCP, UDP = 6, 17
GSO_TCP4, GSO_TCP6, GSO_UDP = 1, 4, 5
VNET: Final = L.RECORD_FLAGS["VNET"]
CHECKED: Final = 1
"""Flag of a virtio_net_hdr: the checksum is to be filled in."""


def ip4(payload: bytes, protocol: int = UDP, *, head: int = 0x45, total: int | None = None) -> bytes:
    """An IPv4 packet from the card to the host with a right header checksum."""
    length = 20 + len(payload) if total is None else total
    raw = struct.pack("!BBHHHBBH4s4s", head, 0, length & 0xFFFF, 1, 0, 64, protocol, 0, CARD, HOST)
    value = sum(struct.unpack("!10H", raw))
    value = (value & 0xFFFF) + (value >> 16)
    return raw[:10] + struct.pack("!H", ~(value + (value >> 16)) & 0xFFFF) + raw[12:] + payload


def udp(size: int = 26) -> bytes:
    """A datagram to the discard port of the host."""
    return ip4(struct.pack("!HHHH", 9, 9, 8 + size, 0) + bytes(size))


def tcp(size: int, *, offset: int = 5) -> bytes:
    """A segment to a port of the host where nothing listens."""
    return ip4(struct.pack("!HHIIBBHHH", 9, 9, 1, 0, offset << 4, 0x10, 1000, 0, 0) + bytes(size), TCP)


def record(
    payload: bytes,
    *,
    flags: int = 0,
    hdr_len: int = 0,
    crc: int = 0,
    length: int | None = None,
    advance: int | None = None,
    seq_add: int = 0,
    flip: tuple[int, int, int] = (0, 0, 0),
) -> Record:
    """A record with ``payload``; ``length`` and ``advance`` other than the right ones."""
    claimed = len(payload) if length is None else length
    head = struct.pack("<IHHII", claimed % 2**32, flags, hdr_len, 0, crc)
    return Record(head + payload, align_record(len(payload)) if advance is None else advance, seq_add, flip)


def vnet(
    packet: bytes, *, flags: int = 0, gso: int = 0, hdr: int = 0, size: int = 0, start: int = 0, at: int = 0
) -> bytes:
    """``packet`` behind a virtio_net_hdr."""
    return struct.pack("<BBHHHH", flags, gso, hdr, size, start, at) + packet


def offloaded(payload: bytes) -> Record:
    """A record of a link with offloads."""
    return record(payload, flags=VNET, hdr_len=L.VNET_HDR)


def super_packet(size: int, segment: int) -> bytes:
    """A super-packet of TCP with ``size`` bytes of payload in segments of ``segment`` bytes."""
    return vnet(tcp(size), flags=CHECKED, gso=GSO_TCP4, hdr=40, size=segment, start=20, at=16)


GOOD: Final = record(udp())
GOOD_VNET: Final = offloaded(vnet(udp()))
MOST: Final = 65_483
"""Bytes of TCP payload in the largest packet."""

LENGTHS: Final = tuple(
    record(udp(), length=length)
    for length in (0, 1, 19, 1501, 65_536, L.FRAME_MAX, L.FRAME_MAX + 1, 2**31, 2**32 - 1, 2**32 - 16)
)
TOO_SHORT: Final = (
    record(udp(1400)),
    record(udp(26), length=64, advance=64),
    record(udp(1400), advance=64),
    record(udp(1400), advance=64 + 1),
)
HEADERS: Final = (
    *(record(udp(), flags=1 << bit) for bit in range(16)),
    *(record(udp(), hdr_len=n) for n in (1, 9, 10, 11, 65_535)),
    *(record(udp(), crc=n) for n in (1, 2**32 - 1)),
    *(record(udp(), seq_add=n) for n in (1, -1, 1000, 2**31)),
)
CHANGING: Final = (
    record(udp(), flip=(0, 4, 0xFFFF_FFFF)),
    record(udp(), flip=(0, 4, 0)),
    record(udp(), flip=(4, 4, 0xFFFF_FFFF)),
    record(udp(), flip=(8, 4, 7)),
)
CHANGING_VNET: Final = tuple(
    Record(one.data, one.advance, flip=flip)
    for one in (offloaded(super_packet(8000, 1448)), GOOD_VNET)
    for flip in ((20, 2, 1), (16, 2, 0xFFFF), (22, 2, 0xFFFF), (18, 2, 0xFFFF), (26, 1, 0xFF), (58, 1, 0xFF))
)
VNET_HEADERS: Final = tuple(
    offloaded(vnet(packet, **words))
    for packet in (udp(), tcp(8000))
    for words in (
        {"gso": GSO_TCP4, "size": 0},
        {"gso": GSO_TCP4, "size": 1, "flags": CHECKED, "hdr": 40, "start": 20, "at": 16},
        {"gso": GSO_TCP4, "size": 65_535, "flags": CHECKED, "hdr": 40, "start": 20, "at": 16},
        {"gso": GSO_TCP4, "size": 1448},
        {"gso": GSO_TCP6, "size": 1448, "flags": CHECKED, "hdr": 60, "start": 40, "at": 16},
        {"gso": GSO_UDP, "size": 1, "flags": CHECKED, "hdr": 28, "start": 20, "at": 6},
        *({"gso": kind, "size": 1448} for kind in (2, 3, 6, 7, 0x80, 0x81, 0xFF)),
        {"flags": CHECKED, "start": 65_535, "at": 65_535},
        {"flags": CHECKED, "start": 0, "at": 0},
        {"flags": CHECKED, "start": 20, "at": 65_535},
        {"flags": 0xFF},
        {"hdr": 65_535},
    )
)
TRANSPORT: Final = tuple(
    offloaded(vnet(packet, flags=CHECKED, gso=GSO_TCP4, hdr=hdr, size=1448, start=start, at=16))
    for packet in (
        *(ip4(tcp(8000)[20:], TCP, head=head) for head in (0x00, 0x40, 0x44, 0x4F, 0x65, 0xF5)),
        *(ip4(tcp(8000)[20:], TCP, total=total) for total in (0, 19, 20, 65_535)),
        *(tcp(8000, offset=offset) for offset in (0, 4, 15)),
        ip4(tcp(8000)[20:], UDP),
        tcp(8000)[:39],
        tcp(8000)[:20],
        tcp(0),
    )
    for hdr, start in ((40, 20), (0, 0), (20, 60))
)
MANY_SEGMENTS: Final = (offloaded(super_packet(MOST, 1)), offloaded(super_packet(MOST, 88)))
WORST_ADMITTED: Final = (offloaded(super_packet(MOST, 128)),)
GARBAGE: Final = tuple(record(bytes((7 * n + k * k) & 0xFF for k in range(n))) for n in (1, 20, 64, 1000, 1500))
