"""A packet, or what a peer sent in place of one, in a few words."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

PROTOCOLS: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_HEADER: Final = struct.Struct("<IHHII")


def packet_in_words(start: bytes, length: int) -> str:
    """``UDP 10.10.10.1:5301 > 10.10.10.5:9, 1528 bytes``; ``start`` may be cut anywhere."""
    version = start[0] >> 4 if start else 0
    size = f"{length} bytes"
    if version == 4 and len(start) >= 20:
        ends = [str(ipaddress.IPv4Address(start[at : at + 4])) for at in (12, 16)]
        protocol, rest = start[9], start[4 * (start[0] & 15) :]
    elif version == 6 and len(start) >= 40:
        ends = [f"[{ipaddress.IPv6Address(start[at : at + 16])}]" for at in (8, 24)]
        protocol, rest = start[6], start[40:]
    else:
        return f"{size}, no IP packet: {start[:16].hex(' ') or 'nothing'}"
    name = PROTOCOLS.get(protocol, f"protocol {protocol}")
    if name in ("TCP", "UDP") and len(rest) >= 4:
        ends = [f"{end}:{port}" for end, port in zip(ends, struct.unpack("!HH", rest[:4]), strict=True)]
    return f"{name} {ends[0]} > {ends[1]}, {size}"


def violation_in_words(name: str, start: bytes) -> str:
    """What the peer wrote that counted as ``viol_...``: an index, or a record's header."""
    if name in ("viol_prod", "viol_cons"):
        return f"{name.removeprefix('viol_')} {int.from_bytes(start[:4], 'little'):#x}"
    if len(start) < _HEADER.size:
        return start.hex(" ")
    length, flags, hdr_len, seq, crc = _HEADER.unpack(start[: _HEADER.size])
    return f"record header: len {length}, flags {flags:#x}, hdr_len {hdr_len}, seq {seq}, crc32c {crc:#x}"
