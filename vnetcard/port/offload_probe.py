"""Packets that show whether a kernel accepts an offload kind.

Some kernels accept the flags and then refuse the packets, so one packet of each kind is
written.  Each is valid for the TUN driver, and then discarded by the IP layer without an answer:
IPv4 with a wrong header checksum (ip_rcv counts InCsumErrors), IPv6 from and to ::1, which is not
allowed on a wire (ipv6_rcv counts InHdrErrors), with a payload length beyond the packet's end.  In an Ethernet frame it
goes to an address that no interface has, from one that bridges neither learn nor forward.
"""

from __future__ import annotations

import struct
from typing import Final

PROBES: Final[dict[str, tuple[str, ...]]] = {
    "CSUM": ("CSUM",),
    "TSO4": ("CSUM", "TSO4"),
    "TSO6": ("CSUM", "TSO6"),
    "USO4": ("CSUM", "USO4", "USO6"),
    "USO6": ("CSUM", "USO4", "USO6"),
}
"""Kind to the flags that must be requested together."""

_NEEDS_CSUM = 1
_GSO = {"CSUM": 0, "TSO4": 1, "TSO6": 4, "USO4": 5, "USO6": 5}
_SEGMENT = 512
_TCP, _UDP = 6, 17
_UNUSED_ADDRESSES: Final = bytes.fromhex("02ffffffffff 000000000000")


def probe_packet(kind: str, *, ethernet: bool = False) -> bytes:
    """A virtio_net_hdr and a packet of ``kind`` with the payload of two segments, which every IP stack discards."""
    lead = _UNUSED_ADDRESSES + (b"\x86\xdd" if kind.endswith("6") else b"\x08\x00") if ethernet else b""
    tcp = kind.startswith(("TSO", "CSUM"))
    ipv6 = kind.endswith("6")
    ip_bytes = 40 if ipv6 else 20
    transport = (
        struct.pack("!HHIIBBHHH", 9, 9, 1, 0, 5 << 4, 0x10, 0, 0, 0) if tcp else struct.pack("!HHHH", 9, 9, 0, 0)
    )
    payload = bytes(2 * _SEGMENT)
    total = len(transport) + len(payload)
    protocol = _TCP if tcp else _UDP
    if ipv6:
        beyond = total + 64
        ip = struct.pack("!IHBB16s16s", 6 << 28, beyond, protocol, 1, bytes(15) + b"\1", bytes(15) + b"\1")
    else:
        wrong_checksum = 0xDEAD
        ip = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, ip_bytes + total, 0, 0, 1, protocol, wrong_checksum, bytes(4), bytes(4)
        )
    header = struct.pack(
        "<BBHHHH",
        _NEEDS_CSUM,
        _GSO[kind],
        len(lead) + ip_bytes + len(transport),
        _SEGMENT if _GSO[kind] else 0,
        len(lead) + ip_bytes,
        16 if tcp else 6,
    )
    return header + lead + ip + transport + payload
