"""A GSO super-packet cut into the packets that a wire would carry, with complete checksums.

See struct virtio_net_hdr (Linux include/uapi/linux/virtio_net.h).
"""

from __future__ import annotations

import struct
from typing import Final

from vnetcard.ring import layout as L

_VNET: Final = struct.Struct("<BBHHHH")
_NEEDS_CSUM: Final = 1
_TCP: Final = (1, 4)
_UDP: Final = (5,)
_ECN: Final = 0x80
_FIN_PSH, _CWR = 0x09, 0x80
_SEGMENTS_MAX: Final = 1024
"""More than a kernel makes of one packet: 65,535 bytes in segments of at least 64.  Each repeats the headers."""
_HEADERS_MAX: Final = 1024
"""Bytes of all headers that a segment repeats; a kernel's super-packets have less than 200."""
_LENGTH_MAX: Final = 65_535
"""The largest packet that the length fields of IP and UDP can express."""
_NEVER_0: Final = 0xFFFF
"""What a UDP checksum of 0 is sent as, since 0 says that there is none (RFC 768); TCP has no such rule."""


def segments(packet: bytes, vnet: bytes, *, lead: int = 0) -> list[bytes]:
    """The packets that ``packet`` with its virtio_net_hdr stands for; itself when the header is invalid.

    ``lead``: bytes of the Ethernet header and VLAN tags before the IP header, which each of them repeats.
    """
    if lead:
        flags, kind, size, gso, start, offset = _VNET.unpack(vnet[: L.VNET_HDR].ljust(L.VNET_HDR, b"\0"))
        inner = _VNET.pack(flags, kind, max(0, size - lead), gso, max(0, start - lead), offset)
        return [packet[:lead] + piece for piece in segments(packet[lead:], inner if vnet else b"")]
    if len(vnet) < L.VNET_HDR or len(packet) < 28:
        return [packet]
    flags, kind, _, size, start, offset = _VNET.unpack(vnet[: L.VNET_HDR])
    kind &= ~_ECN
    if not flags & _NEEDS_CSUM or not 20 <= start <= len(packet) - offset - 2:
        return [packet]
    least = start + (20 if kind in _TCP else 8)
    known = packet[0] >> 4 == 4 or (packet[0] >> 4 == 6 and start >= 40)
    if kind not in _TCP + _UDP or not size or not known or len(packet) < least:
        return [_complete(packet, start, offset)]
    head = start + (packet[start + 12] >> 4) * 4 if kind in _TCP else least
    rest = len(packet) - head
    if not least <= head <= min(len(packet), _HEADERS_MAX) or rest > _SEGMENTS_MAX * size:
        return [packet]
    if head + min(size, rest) > _LENGTH_MAX:
        return [packet]
    pieces = [packet[at : at + size] for at in range(head, len(packet), size)]
    return [
        _segment(
            packet[:head],
            piece,
            number=n,
            last=n == len(pieces) - 1,
            done=n * size,
            start=start,
            tcp=kind in _TCP,
        )
        for n, piece in enumerate(pieces)
    ] or [packet]


def _segment(head: bytes, data: bytes, *, number: int, last: bool, done: int, start: int, tcp: bool) -> bytes:
    out = bytearray(head + data)
    if tcp:
        seq = struct.unpack_from("!I", out, start + 4)[0]
        struct.pack_into("!I", out, start + 4, (seq + done) & 0xFFFF_FFFF)
        out[start + 13] &= 0xFF & ~((0 if last else _FIN_PSH) | (0 if number == 0 else _CWR))
    else:
        struct.pack_into("!H", out, start + 4, len(out) - start)
    if out[0] >> 4 == 4:
        struct.pack_into("!H", out, 2, len(out))
        identity = struct.unpack_from("!H", out, 4)[0]
        struct.pack_into("!HHH", out, 4, (identity + number) & 0xFFFF, *struct.unpack_from("!HH", out, 6))
        out[10:12] = bytes(2)
        struct.pack_into("!H", out, 10, _checksum(out[: (out[0] & 15) * 4]))
        addresses = out[12:20]
    else:
        struct.pack_into("!H", out, 4, len(out) - 40)
        addresses = out[8:40]
    offset = start + (16 if tcp else 6)
    out[offset : offset + 2] = bytes(2)
    pseudo = bytes(addresses) + struct.pack("!IBBH", len(out) - start, 0, 0, 6 if tcp else 17)
    struct.pack_into("!H", out, offset, _checksum(pseudo + bytes(out[start:])) or (0 if tcp else _NEVER_0))
    return bytes(out)


def _complete(packet: bytes, start: int, offset: int) -> bytes:
    """Complete a checksum: its field already holds the sum over the pseudo header."""
    total = _checksum(packet[start:]) or (_NEVER_0 if offset == 6 else 0)
    return packet[: start + offset] + struct.pack("!H", total) + packet[start + offset + 2 :]


def _checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = bytes(data) + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
