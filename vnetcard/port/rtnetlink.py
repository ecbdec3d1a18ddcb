"""What every start of an agent asks of the kernel about its interface, in netlink's own words.

pyroute2 knows all of it and more, but its import takes longer than the rest of a start.
Source: rtnetlink(7), Linux include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h; IFLA_TUN_* since Linux 4.16.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

NLMSG_ERROR = 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_CREATE = 0x1, 0x4, 0x100, 0x400
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR = 16, 18, 20
IFLA_MTU, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKINFO = 4, 13, 16, 18
IFLA_INFO_DATA = 2
IFLA_TUN_MULTI_QUEUE, IFLA_TUN_NUM_QUEUES, IFLA_TUN_NUM_DISABLED_QUEUES = 7, 8, 9
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP = 0x1
IF_OPER_UP = 6

_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_LINK = struct.Struct("=BxHiII")
"""ifinfomsg: family, type, index, flags, which flags to change."""
_ADDRESS = struct.Struct("=BBBBI")
"""ifaddrmsg: family, prefix length, flags, scope, index."""
_ATTRIBUTE = struct.Struct("=HH")
"""rtattr: length, type."""
ANSWER_MAX = 65536


@dataclass(frozen=True, slots=True)
class LinkView:
    """An interface as the kernel has it now."""

    up: bool
    operational: bool
    mtu: int


class Rtnetlink:
    """A socket for requests in the network namespace in which it was made; a refusal raises OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._number = 0

    def set_link(self, index: int, *, mtu: int, txqlen: int | None = None, up: bool = False) -> None:
        """Change what is named."""
        flags = IFF_UP if up else 0
        attributes = _attribute(IFLA_MTU, struct.pack("=I", mtu))
        if txqlen is not None:
            attributes += _attribute(IFLA_TXQLEN, struct.pack("=I", txqlen))
        self._ask(RTM_NEWLINK, NLM_F_ACK, _LINK.pack(0, 0, index, flags, flags) + attributes)

    def replace_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        """Add an address; that it is there already is fine."""
        packed = address.ip.packed
        attributes = _attribute(IFA_LOCAL, packed) + _attribute(IFA_ADDRESS, packed)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        body = _ADDRESS.pack(family, address.network.prefixlen, 0, 0, index) + attributes
        self._ask(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body)

    def link(self, index: int) -> LinkView:
        """What the interface is now."""
        flags, found = self._look(index)
        mtu = int.from_bytes(found[IFLA_MTU], "little")
        return LinkView(bool(flags & IFF_UP), found[IFLA_OPERSTATE][0] == IF_OPER_UP, mtu)

    def queues_held(self, index: int) -> int | None:
        """How many queues of a TUN are open; None for one that has but one, and for any other interface."""
        _, found = self._look(index)
        data = dict(_attributes(dict(_attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_DATA, b"")))
        if not any(data.get(IFLA_TUN_MULTI_QUEUE, b"")):
            return None
        counts = (IFLA_TUN_NUM_QUEUES, IFLA_TUN_NUM_DISABLED_QUEUES)
        return sum(int.from_bytes(data.get(kind, b""), "little") for kind in counts)

    def _look(self, index: int) -> tuple[int, dict[int, bytes]]:
        """The flags and the attributes of an interface."""
        body = self._ask(RTM_GETLINK, 0, _LINK.pack(0, 0, index, 0, 0))
        _, _, _, flags, _ = _LINK.unpack_from(body)
        return flags, dict(_attributes(body[_LINK.size :]))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _ask(self, kind: int, flags: int, body: bytes) -> bytes:
        """Send one request; what follows the header of its answer."""
        self._number += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, self._number, 0)
        self._socket.send(header + body)
        while True:
            answer = self._socket.recv(ANSWER_MAX)
            length, kind, _, number, _ = _HEADER.unpack_from(answer)
            if number == self._number:
                break
        if kind == NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", answer, _HEADER.size)
            if code:
                raise OSError(-code, os.strerror(-code), errno.errorcode.get(-code, ""))
        return answer[_HEADER.size : length]


def _attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(body: bytes) -> list[tuple[int, bytes]]:
    """All attributes of an answer."""
    found, at = [], 0
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        found.append((kind, body[at + _ATTRIBUTE.size : at + length]))
        at += (length + 3) & ~3
    return found
