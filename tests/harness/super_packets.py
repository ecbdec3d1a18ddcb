"""Super-packets of all kinds that a kernel makes, by chance: TCP and UDP, IPv4 and IPv6, with and without frames."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Final

NEEDS_CSUM: Final = 1
TCPV4, TCPV6, UDP_L4, ECN = 1, 4, 5, 0x80
_FIN, _PSH, _ACK, _CWR = 0x01, 0x08, 0x10, 0x80
_TAGS: Final = (b"", b"", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x09\x81\x00\x00\x07")


@dataclass(frozen=True, slots=True)
class SuperPacket:
    """``vnet``: its virtio_net_hdr; ``lead``: bytes in front of the IP header."""

    vnet: bytes
    packet: bytes
    lead: int

    @property
    def udp(self) -> bool:
        return self.vnet[1] == UDP_L4


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def super_packet(
    chance: random.Random, *, ethernet: bool | None = None, tagged: bool = True, payload: int | None = None
) -> SuperPacket:
    """One with everything that may vary chosen by ``chance``, unless it is given; ``payload`` in bytes."""
    udp, ipv6 = chance.random() < 0.4, chance.random() < 0.5
    ethernet = chance.random() < 0.7 if ethernet is None else ethernet
    data = chance.randbytes(payload if payload is not None else chance.choice((1, 2, 700, 1448, 3001, 9001, 30_000)))
    size = chance.choice((48, 511, 512, 1000, 1401, 1448))
    if udp:
        size = max(size, len(data) // 60 + 1)  # a kernel refuses more datagrams
        head = struct.pack("!HHHH", 1000, 2000, 8 + len(data), 0)
    else:
        options = chance.choice((b"", b"\1\1\x08\x0a" + bytes(8)))
        flags = _ACK | chance.choice((0, _PSH, _FIN | _PSH)) | chance.choice((0, _CWR))
        seq = chance.choice((1, 0xFFFF_FF00))
        head = struct.pack("!HHIIBBHHH", 1000, 2000, seq, 7, (20 + len(options)) << 2, flags, 500, 0, 0) + options
    between = b"" if not ipv6 or chance.random() < 0.8 else bytes([17 if udp else 6, 0, 1, 4, 0, 0, 0, 0])
    upper = len(between) + len(head) + len(data)
    protocol = 17 if udp else 6
    if ipv6:
        addresses = b"\xfd" + chance.randbytes(15) + b"\xfd" + chance.randbytes(15)
        ip = struct.pack("!IHBB", 6 << 28, upper, 60 if between else protocol, 64) + addresses
    else:
        addresses = b"\x0a" + chance.randbytes(3) + b"\x0a" + chance.randbytes(3)
        identity = chance.choice((0, 0x1234, 0xFFFF))
        ip = struct.pack("!BBHHHBBH", 0x45, 2, 20 + upper, identity, 0x4000, 64, protocol, 0) + addresses
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    lead = b""
    if ethernet:
        tags = chance.choice(_TAGS) if tagged else b""
        lead = bytes.fromhex("020000000002 020000000001") + tags + (b"\x86\xdd" if ipv6 else b"\x08\x00")
    start, offset = len(lead) + len(ip) + len(between), 6 if udp else 16
    partial = ~checksum(addresses + struct.pack("!II", upper - len(between), protocol)) & 0xFFFF
    head = head[:offset] + struct.pack("!H", partial) + head[offset + 2 :]
    kind = UDP_L4 if udp else (TCPV6 if ipv6 else TCPV4) | (ECN if head[13] & _CWR else 0)
    if len(data) <= size:  # no super-packet
        kind = size = 0
    vnet = struct.pack("<BBHHHH", NEEDS_CSUM, kind, start + len(head), size, start, offset)
    return SuperPacket(vnet, lead + ip + between + head + data, len(lead))
