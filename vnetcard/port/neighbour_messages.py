"""The messages by which machines on an Ethernet find one another's MAC addresses, without their Ethernet headers.

ARP for IPv4 (RFC 826, RFC 5227), neighbour discovery for IPv6 (RFC 4861).  An address is its 4 or 16 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
TO_ALL: Final = b"\xff" * 6
NO_MAC: Final = bytes(6)
UNSPECIFIED: Final = {4: bytes(4), 16: bytes(16)}
"""By bytes of an address."""
ALL_NODES: Final = bytes.fromhex("ff020000000000000000000000000001")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4, _REQUEST, _REPLY = 1, 0x0800, 1, 2
_IP6: Final = struct.Struct("!IHBB16s16s")
_ICMP6: Final = struct.Struct("!BBHI16s")
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOURCE_MAC, _TARGET_MAC = 1, 2
_SOLICITED, _OVERRIDE = 0x4000_0000, 0x2000_0000
_PROTOCOL: Final = 58
_HOP_LIMIT: Final = 255


@dataclass(frozen=True, slots=True)
class Message:
    """``asked``: the address in question, b"" in an answer.  ``owner`` has ``mac``; b"": the message does not say so.

    ``override``: it replaces what was known.  ``asker``: whom to answer; b"": a probe, whose sender has no address yet.
    """

    asked: bytes
    owner: bytes
    mac: bytes
    override: bool = True
    asker: bytes = b""


def is_unicast_mac(mac: bytes) -> bool:
    """Can a single interface have it?"""
    return len(mac) == 6 and not mac[0] & 1 and any(mac)


# --- ARP -----------------------------------------------------------------------------------------------


def arp(asks: bool, mac: bytes, own: bytes, to_mac: bytes, to: bytes) -> bytes:
    """A request for the MAC address of ``to``, or a reply to it, of the machine with ``mac`` and ``own``."""
    return _ARP.pack(_ETHERNET, _IPV4, 6, 4, _REQUEST if asks else _REPLY, mac, own, to_mac, to)


def parse_arp(data: bytes) -> Message | None:
    """None for what is no ARP message about IPv4 on an Ethernet."""
    if len(data) < _ARP.size:
        return None
    *kind, operation, mac, source, _, target = _ARP.unpack_from(data)
    if kind != [_ETHERNET, _IPV4, 6, 4] or operation not in (_REQUEST, _REPLY) or not is_unicast_mac(mac):
        return None
    source = source if any(source) else b""
    if operation == _REPLY and not source:
        return None
    return Message(target if operation == _REQUEST else b"", source, mac, asker=source)


# --- neighbour discovery ---------------------------------------------------------------------------------


def solicited_group(target: bytes) -> bytes:
    """The group that the machine with the IPv6 address ``target`` has joined."""
    return bytes.fromhex("ff0200000000000000000001ff") + target[13:]


def group_mac(group: bytes) -> bytes:
    """The MAC address of an IPv6 group (RFC 2464)."""
    return b"\x33\x33" + group[12:]


def solicitation(mac: bytes, source: bytes, to: bytes, target: bytes) -> bytes:
    """Asks for the MAC address of ``target``; with the unspecified address as ``source`` it is a probe."""
    option = bytes([_SOURCE_MAC, 1]) + mac if any(source) else b""
    return _packet(source, to, _ICMP6.pack(_SOLICITATION, 0, 0, 0, target) + option)


def advertisement(mac: bytes, own: bytes, to: bytes, *, solicited: bool) -> bytes:
    """Says that the machine with ``mac`` has the address ``own``, and replaces what was known of it."""
    flags = _OVERRIDE | (_SOLICITED if solicited else 0)
    return _packet(own, to, _ICMP6.pack(_ADVERTISEMENT, 0, 0, flags, own) + bytes([_TARGET_MAC, 1]) + mac)


def _packet(source: bytes, to: bytes, message: bytes) -> bytes:
    """``message``: of ICMPv6, with a checksum of 0."""
    head = _IP6.pack(6 << 28, len(message), _PROTOCOL, _HOP_LIMIT, source, to)
    return head + message[:2] + checksum(source, to, message).to_bytes(2, "big") + message[4:]


def checksum(source: bytes, to: bytes, message: bytes) -> int:
    """RFC 4443, 2.3; 0 over a message with its checksum in it."""
    data = source + to + struct.pack("!II", len(message), _PROTOCOL) + message + bytes(len(message) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def parse_discovery(data: bytes) -> Message | None:
    """None for what is no valid solicitation or advertisement of a neighbour (RFC 4861, 7.1)."""
    if len(data) < _IP6.size + _ICMP6.size:
        return None
    first, size, protocol, hops, source, to = _IP6.unpack_from(data)
    message = data[_IP6.size : _IP6.size + size]
    if first >> 28 != 6 or protocol != _PROTOCOL or hops != _HOP_LIMIT or not _ICMP6.size <= size == len(message):
        return None
    kind, code, _, flags, target = _ICMP6.unpack_from(message)
    macs = _macs(message[_ICMP6.size :])
    if code or target[0] == 0xFF or macs is None or checksum(source, to, message):
        return None
    if kind == _SOLICITATION:
        return _solicitation(source, to, target, macs.get(_SOURCE_MAC))
    if kind == _ADVERTISEMENT and not (to[0] == 0xFF and flags & _SOLICITED) and _TARGET_MAC in macs:
        return Message(b"", target, macs[_TARGET_MAC], bool(flags & _OVERRIDE))
    return None


def _solicitation(source: bytes, to: bytes, target: bytes, mac: bytes | None) -> Message | None:
    if not any(source):
        return Message(target, b"", NO_MAC) if to == solicited_group(target) and mac is None else None
    return Message(target, source if mac else b"", mac or NO_MAC, asker=source)


def _macs(options: bytes) -> dict[int, bytes] | None:
    """MAC addresses of unicast by the type of their option; None where the options are damaged."""
    found = {}
    while options:
        size = 8 * options[1] if len(options) > 1 else 0
        if not 0 < size <= len(options):
            return None
        if size == 8 and is_unicast_mac(options[2:8]):
            found[options[0]] = options[2:8]
        options = options[size:]
    return found
