"""An IP packet, or the one in an Ethernet frame, taken apart and described in a line.

Used for the samples of dropped packets and by ``trace`` and ``capture``.  Every function takes the first bytes of a
packet, which may be cut anywhere or be no packet at all, and returns something.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

from vnetcard.ring import ethernet as E
from vnetcard.ring import layout as L

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
_ICMP_TYPES: Final = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMPV6_TYPES: Final = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    143: "listener report",
}
_TCP_FLAGS: Final = "FSRPAUEC"
_GSO: Final = {1: "TCP", 4: "TCP", 5: "UDP"}
_VNET: Final = struct.Struct("<BBHHHH")
_RECORD: Final = struct.Struct("<IHHII")
_EXTENSIONS: Final = (0, 43, 60)
"""IPv6 extension headers whose second byte is their length: hop-by-hop, routing, destination options (RFC 8200)."""
_FRAGMENT: Final = 44


@dataclass(frozen=True, slots=True)
class Packet:
    """The IP header of a packet, and the bytes of its transport header that are known.

    A later fragment has no transport header: its ``transport`` is empty and ``is_later_fragment`` is true.
    """

    source: str
    destination: str
    protocol: int
    transport: bytes
    is_later_fragment: bool = False

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port of TCP or UDP, if the packet has them and they are known."""
        if self.protocol not in (TCP, UDP) or len(self.transport) < 4:
            return None
        source, destination = struct.unpack_from("!HH", self.transport)
        return source, destination


def dissect(data: bytes) -> Packet | None:
    """The packet that starts with ``data``; None when that is no IP packet, or less than an IP header of it."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        source, destination = (str(ipaddress.IPv4Address(data[at : at + 4])) for at in (12, 16))
        if int.from_bytes(data[6:8], "big") & 0x1FFF:
            return Packet(source, destination, data[9], b"", is_later_fragment=True)
        return Packet(source, destination, data[9], data[(data[0] & 15) * 4 :])
    if version == 6 and len(data) >= 40:
        source, destination = (str(ipaddress.IPv6Address(data[at : at + 16])) for at in (8, 24))
        return Packet(source, destination, *_behind_extensions(data))
    return None


def _behind_extensions(data: bytes) -> tuple[int, bytes, bool]:
    """(protocol, transport header, is it a later fragment) of an IPv6 packet."""
    protocol, at = data[6], 40
    while protocol in (*_EXTENSIONS, _FRAGMENT) and len(data) >= at + 8:
        if protocol == _FRAGMENT:
            if int.from_bytes(data[at + 2 : at + 4], "big") >> 3:
                return data[at], b"", True
            protocol, at = data[at], at + 8
        else:
            protocol, at = data[at], at + 8 * (data[at + 1] + 1)
    return protocol, data[at:], False


def describe_packet(data: bytes, *, ethernet: bool = False) -> str:
    """``10.10.10.1 > 10.10.10.5: ICMP echo request, seq 1``; ports as tcpdump writes them, ``10.10.10.1.1234``.

    ``ethernet``: the data is a frame, whose VLANs and ARP are described too.
    """
    if ethernet:
        tags = "".join(f"vlan {number}, " for number in E.vlan_ids(data))
        return tags + (describe_packet(inner) if (inner := E.ip_packet(data)) else E.describe_other(data))
    packet = dissect(data)
    if packet is None:
        return f"no IP packet: {data[:16].hex(' ') or 'no bytes kept'}"
    ends = [packet.source, packet.destination]
    if packet.ports:
        ends = [f"{address}.{port}" for address, port in zip(ends, packet.ports, strict=True)]
    words = "fragment" if packet.is_later_fragment else _describe_transport(packet.protocol, packet.transport)
    return f"{ends[0]} > {ends[1]}: {words}"


def _describe_transport(protocol: int, data: bytes) -> str:
    if protocol in (ICMP, ICMPV6):
        names, title = (_ICMP_TYPES, "ICMP") if protocol == ICMP else (_ICMPV6_TYPES, "ICMPv6")
        if len(data) < 8:
            return title
        words = f"{title} {names.get(data[0], f'type {data[0]}')}"
        return f"{words}, seq {int.from_bytes(data[6:8], 'big')}" if "echo" in words else words
    if protocol == UDP:
        return f"UDP, length {int.from_bytes(data[4:6], 'big') - 8}" if len(data) >= 8 else "UDP"
    if protocol == TCP:
        if len(data) < 20:
            return "TCP"
        flags = "".join(name for bit, name in enumerate(_TCP_FLAGS) if data[13] >> bit & 1)
        return f"TCP [{flags}], seq {int.from_bytes(data[4:8], 'big')}"
    return f"IP protocol {protocol}"


def describe_sample(start: bytes, length: int, *, ethernet: bool = False) -> str:
    """The packet that starts with ``start``, as the sample of a drop; ``length`` bytes of it were read.

    A packet above the MTU is read only in part: then its own header gives its length.
    """
    stated = _length_in_header(E.ip_packet(start) if ethernet else start)
    stated += E.ip_offset(start) if ethernet and stated else 0
    return f"{describe_packet(start, ethernet=ethernet)}, {max(length, stated)} bytes"


def _length_in_header(data: bytes) -> int:
    """The length that an IP header states; 0 when there is none."""
    packet = dissect(data)
    if packet is None:
        return 0
    return int.from_bytes(data[2:4], "big") if data[0] >> 4 == 4 else 40 + int.from_bytes(data[4:6], "big")


def describe_violation(name: str, start: bytes) -> str:
    """What the peer wrote that was counted as ``name`` (``viol_...``): an index, or a record's header."""
    if name in ("viol_prod", "viol_cons"):
        return f"{name.removeprefix('viol_')} {int.from_bytes(start[:4], 'little'):#x}"
    if len(start) < _RECORD.size:
        return start.hex(" ")
    length, flags, hdr_len, seq, crc = _RECORD.unpack(start[: _RECORD.size])
    return f"record header: len {length}, flags {flags:#x}, hdr_len {hdr_len}, seq {seq}, crc32c {crc:#x}"


Flow = frozenset[tuple[str, int]]
"""The two ends of a TCP connection, address and port; the same for both directions."""


def flow_of(data: bytes, *, ethernet: bool = False) -> Flow | None:
    """The connection of a packet or frame; None when its ports are not known or it is not TCP."""
    packet = dissect(E.ip_packet(data) if ethernet else data)
    if packet is None or packet.protocol != TCP or packet.ports is None:
        return None
    return frozenset(zip((packet.source, packet.destination), packet.ports, strict=True))


def describe_offload(vnet: bytes) -> str:
    """What a virtio_net_hdr leaves to the receiver: ``GSO TCP, segments of 1448``; empty when it leaves nothing."""
    if len(vnet) < L.VNET_HDR:
        return ""
    flags, kind, _, size, _, _ = _VNET.unpack(vnet[: L.VNET_HDR])
    if kind:
        return f"GSO {_GSO.get(kind & 0x7F, f'type {kind}')}, segments of {size}"
    return "checksum left to the receiver" if flags & 1 else ""
