"""An IP packet in a few words, from its first bytes; whatever they are, some words come out."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from vnetcard.ring import layout as L

_ICMP: Final = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMP6: Final = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    143: "listener report",
}
_TCP_FLAGS: Final = "FSRPAUEC"
_GSO: Final = {1: "TCP", 4: "TCP", 5: "UDP"}
_VNET: Final = struct.Struct("<BBHHHH")


def describe(data: bytes) -> str:
    """``10.10.10.1 > 10.10.10.5: ICMP echo request, seq 1``; ``data`` may end anywhere."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        start, protocol = (data[0] & 15) * 4, data[9]
        source, target = (str(ipaddress.IPv4Address(data[at : at + 4])) for at in (12, 16))
        if (int.from_bytes(data[6:8], "big") & 0x1FFF) != 0:
            return f"{source} > {target}: fragment"
    elif version == 6 and len(data) >= 40:
        start, protocol = 40, data[6]
        source, target = (str(ipaddress.IPv6Address(data[at : at + 16])) for at in (8, 24))
    else:
        return f"no IP packet: {data[:8].hex(' ') or 'nothing kept'}"
    ports, words = _transport(protocol, data[start:])
    if ports:
        source, target = (f"{address}.{port}" for address, port in zip((source, target), ports, strict=True))
    return f"{source} > {target}: {words}"


def _transport(protocol: int, data: bytes) -> tuple[tuple[int, int] | None, str]:
    if protocol in (1, 58) and len(data) >= 8:
        names, title = (_ICMP, "ICMP") if protocol == 1 else (_ICMP6, "ICMPv6")
        kind, number = data[0], int.from_bytes(data[6:8], "big")
        words = f"{title} {names.get(kind, f'type {kind}')}"
        return None, f"{words}, seq {number}" if "echo" in words else words
    if protocol in (6, 17) and len(data) >= 8:
        ports = struct.unpack_from("!HH", data)
        if protocol == 17:
            return ports, f"UDP, length {int.from_bytes(data[4:6], 'big') - 8}"
        if len(data) >= 20:
            flags = "".join(name for bit, name in enumerate(_TCP_FLAGS) if data[13] >> bit & 1)
            return ports, f"TCP [{flags}], seq {int.from_bytes(data[4:8], 'big')}"
        return ports, "TCP"
    return None, f"IP protocol {protocol}"


Flow = frozenset[tuple[str, int]]
"""The two ends of a TCP connection, address and port; the same for both directions."""


def flow_of(data: bytes) -> Flow | None:
    """The connection that a packet is of; None when it is no TCP segment."""
    version = data[0] >> 4 if data else 0
    start, size = ((data[0] & 15) * 4, 4) if version == 4 else (40, 16)
    where, kind = (12, 9) if version == 4 else (8, 6)
    if version not in (4, 6) or len(data) < start + 4 or data[kind] != 6:
        return None
    hosts = [str(ipaddress.ip_address(data[at : at + size])) for at in (where, where + size)]
    return frozenset(zip(hosts, struct.unpack_from("!HH", data, start), strict=True))


def describe_vnet(vnet: bytes) -> str:
    """What a virtio_net_hdr leaves to be done: ``GSO TCP, segments of 1448``; empty: nothing."""
    if len(vnet) < L.VNET_HDR:
        return ""
    flags, kind, _, size, _, _ = _VNET.unpack(vnet[: L.VNET_HDR])
    if kind:
        return f"GSO {_GSO.get(kind & 0x7F, f'type {kind}')}, segments of {size}"
    return "checksum left to the receiver" if flags & 1 else ""
