"""An Ethernet frame taken apart: VLAN tags, and what is behind them.

Every function takes the first bytes of a frame, which may be cut anywhere.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from vnetcard.ring import layout as L

VLAN_TYPES: Final = (0x8100, 0x88A8)
IP_TYPES: Final = (0x0800, 0x86DD)
ARP: Final = 0x0806
TAGS_MAX: Final = 2
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ARP_WORDS: Final = {
    1: "ARP request, who has {target}, tell {sender}",
    2: "ARP reply, {sender} is at {sender_mac}",
}


def ip_offset(frame: bytes) -> int:
    """Where the packet behind the Ethernet header and up to two VLAN tags starts."""
    at = L.ETHERNET_HEADER
    for _ in range(TAGS_MAX):
        if int.from_bytes(frame[at - 2 : at], "big") not in VLAN_TYPES:
            break
        at += L.VLAN_TAG
    return at


def ether_type(frame: bytes) -> int:
    """The EtherType behind the VLAN tags; 0 where it was cut off."""
    at = ip_offset(frame)
    return int.from_bytes(frame[at - 2 : at], "big") if len(frame) >= at else 0


def ip_packet(frame: bytes) -> bytes:
    """The IP packet in a frame; empty where it carries something else."""
    return frame[ip_offset(frame) :] if ether_type(frame) in IP_TYPES else b""


def vlan_ids(frame: bytes) -> list[int]:
    """The VLAN of each tag, the outer one first."""
    return [
        int.from_bytes(frame[at : at + 2], "big") & 0x0FFF
        for at in range(L.ETHERNET_HEADER, ip_offset(frame), L.VLAN_TAG)
    ]


def describe_other(frame: bytes) -> str:
    """A frame that carries no IP packet: ARP in words, else its addresses and EtherType."""
    body = frame[ip_offset(frame) :]
    if ether_type(frame) == ARP and len(body) >= _ARP.size:
        *_, operation, sender_mac, sender, _, target = _ARP.unpack_from(body)
        words = _ARP_WORDS.get(operation, f"ARP operation {operation}")
        return words.format(
            sender=ipaddress.IPv4Address(sender),
            target=ipaddress.IPv4Address(target),
            sender_mac=sender_mac.hex(":"),
        )
    if len(frame) < L.ETHERNET_HEADER:
        return f"no Ethernet frame: {frame[:16].hex(' ') or 'no bytes kept'}"
    return f"{frame[6:12].hex(':')} > {frame[:6].hex(':')}: EtherType {ether_type(frame):#06x}"
