"""Requests to the kernel about interfaces, addresses and routes, and its notifications of their changes.

pyroute2 offers all of it, but its import takes longer than the rest of an agent's start.
Source: rtnetlink(7), Linux include/uapi/linux/{netlink,rtnetlink,net_namespace,if_link,if_addr,ipv6}.h; questions
about another namespace since Linux 4.15, IFLA_TUN_* since 4.16, IFA_PROTO since 5.18 (older kernels ignore it).
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vnetcard.port.address import Address, Gateway, Network

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_DUMP, NLM_F_CREATE = 0x1, 0x4, 0x100, 0x300, 0x400
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_GETROUTE = 26
RTM_GETNSID = 90
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_TXQLEN = 1, 3, 4, 5, 10, 13
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_GROUP = 16, 18, 26, 27
IFLA_LINK_NETNSID, IFLA_TARGET_NETNSID = 37, 46
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_INET6_CONF = 2
DEVCONF_DISABLE_IPV6 = 26
IFLA_TUN_MULTI_QUEUE, IFLA_TUN_NUM_QUEUES, IFLA_TUN_NUM_DISABLED_QUEUES = 7, 8, 9
IFA_ADDRESS, IFA_LOCAL, IFA_PROTO = 1, 2, 11
IFA_F_NODAD = 0x02
NETNSA_NSID, NETNSA_FD = 1, 3
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
RT_TABLE_MAIN = 254
RTN_UNICAST = 1
IFF_UP, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x80, 0x10000
IF_OPER_UP = 6
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
RTMGRP_LINK, RTMGRP_ADDRESSES, RTMGRP_ROUTES = 0x1, 0x110, 0x440
"""The last two: of IPv4 and IPv6."""
OUR_PROTOCOL: Final = 118
"""Marks addresses (IFA_PROTO) and routes (rtm_protocol) that an agent has set; unassigned in rt_protos."""
IPV6_MTU_MIN: Final = 1280
"""RFC 8200, section 5: the kernel takes IPv6 away from an interface whose MTU is smaller."""

_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_LINK = struct.Struct("=BxHiII")
"""ifinfomsg: family, type, index, flags, which flags to change."""
_ADDRESS = struct.Struct("=BBBBI")
"""ifaddrmsg: family, prefix length, flags, scope, index."""
_ROUTE = struct.Struct("=BBBBBBBBI")
"""rtmsg: family, destination bits, source bits, tos, table, protocol, scope, type, flags."""
_ATTRIBUTE = struct.Struct("=HH")
"""rtattr: length, type."""
ANSWER_MAX = 65536


@dataclass(frozen=True, slots=True)
class LinkView:
    """An interface as the kernel has it now; ``ipv6_off``: the sysctl disable_ipv6; None: no IPv6 on it at all.

    ``kind`` is its driver's (``bridge``), '' for hardware; ``master`` the index of the bridge that it belongs to, or 0;
    ``lower`` that of the interface below, or 0, and ``lower_netns`` the number of the namespace in which that is, None
    if it is the same; ``carrier``: the driver has it (LOWER_UP); ``group`` its group; ``mac`` its address or ''.
    """

    name: str
    up: bool
    operational: bool
    mtu: int
    ipv6_off: bool | None
    kind: str = ""
    master: int = 0
    lower: int = 0
    carrier: bool = True
    group: int = 0
    lower_netns: int | None = None
    mac: str = ""


@dataclass(frozen=True, slots=True)
class AddressView:
    """An address of the interface ``index``; ``ours``: an agent has set it."""

    index: int
    address: Address
    ours: bool


@dataclass(frozen=True, slots=True)
class RouteView:
    """A unicast route of the main table; ``index`` is 0 for one over several interfaces."""

    index: int
    destination: Network
    gateway: Gateway | None
    metric: int
    protocol: int

    @property
    def ours(self) -> bool:
        """Has an agent set it?"""
        return self.protocol == OUR_PROTOCOL


class Rtnetlink:
    """A socket for requests in the network namespace in which it was made; a refusal raises OSError.

    Threads may share it: a request and its answers are one step.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        with contextlib.suppress(OSError):  # before Linux 5.0 the filter of a dump is ours alone
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._number = 0
        self._lock = threading.Lock()

    def set_link(self, index: int, *, mtu: int, txqlen: int | None = None, up: bool = False) -> None:
        """Change what is named."""
        flags = IFF_UP if up else 0
        attributes = attribute(IFLA_MTU, struct.pack("=I", mtu))
        if txqlen is not None:
            attributes += attribute(IFLA_TXQLEN, struct.pack("=I", txqlen))
        self._ask(RTM_NEWLINK, NLM_F_ACK, _LINK.pack(0, 0, index, flags, flags) + attributes)

    def set_master(self, index: int, master: int) -> None:
        """Make the interface a port of the bridge ``master``; of none if that is 0."""
        body = _LINK.pack(0, 0, index, 0, 0) + attribute(IFLA_MASTER, struct.pack("=I", master))
        self._ask(RTM_NEWLINK, NLM_F_ACK, body)

    def replace_address(self, index: int, address: Address) -> None:
        """Add an address and mark it as ours; an address that is there already is no error.

        An IPv6 address of an interface without neighbours (TUN) is not checked for duplicates: otherwise it could be
        neither source nor destination until the kernel has found time for that.
        """
        alone = address.version == 6 and bool(self._get_link(index)[0] & IFF_NOARP)
        body = _address_request(index, address, IFA_F_NODAD if alone else 0) + attribute(
            IFA_PROTO, bytes([OUR_PROTOCOL])
        )
        self._ask(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body)

    def delete_address(self, index: int, address: Address) -> None:
        """Remove an address; EADDRNOTAVAIL where it is not there."""
        self._ask(RTM_DELADDR, NLM_F_ACK, _address_request(index, address))

    def link(self, index: int, netns: int | None = None) -> LinkView:
        """The interface as it is now; ENODEV when this namespace has none of this index.

        ``netns``: in the namespace of this number instead, as in ``LinkView.lower_netns``; EPERM without permission.
        """
        flags, found = self._get_link(index, netns)
        return _link_view(flags, found)

    def number_of(self, place: int) -> int | None:
        """This namespace's number for the namespace of the descriptor ``place``; None if it has none for it."""
        body = self._ask(RTM_GETNSID, 0, bytes(4) + attribute(NETNSA_FD, struct.pack("=i", place)))
        (number,) = struct.unpack("=i", dict(attributes(body[4:]))[NETNSA_NSID])
        return None if number < 0 else int(number)

    def links(self) -> dict[int, LinkView]:
        """All interfaces of the namespace, by index."""
        found = {}
        for body in self._dump(RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0)):
            _, _, index, flags, _ = _LINK.unpack_from(body)
            found[index] = _link_view(flags, dict(attributes(body[_LINK.size :])))
        return found

    def addresses(self) -> list[AddressView]:
        """All addresses of the namespace."""
        found = []
        for body in self._dump(RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0)):
            family, bits, _, _, index = _ADDRESS.unpack_from(body)
            values = dict(attributes(body[_ADDRESS.size :]))
            packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
            if packed and family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_interface((packed, bits))
                found.append(AddressView(index, address, values.get(IFA_PROTO) == bytes([OUR_PROTOCOL])))
        return found

    def routes(self, version: int, index: int = 0) -> list[RouteView]:
        """Unicast routes of the main table, of IPv4 or IPv6; over interface ``index`` alone where it is named."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        head = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)
        if index:
            head += attribute(RTA_OIF, struct.pack("=I", index))
        views = (_route_view(body) for body in self._dump(RTM_GETROUTE, head))
        return [view for view in views if view is not None and index in (0, view.index)]

    def interface_to(self, address: Gateway) -> int:
        """The interface by which a packet to ``address`` leaves, after all rules and tables; ENETUNREACH if none."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        head = _ROUTE.pack(family, len(address.packed) * 8, 0, 0, 0, 0, 0, 0, 0)
        body = self._ask(RTM_GETROUTE, 0, head + attribute(RTA_DST, address.packed))
        return int.from_bytes(dict(attributes(body[_ROUTE.size :])).get(RTA_OIF, b""), "little")

    def queues_held(self, index: int) -> int | None:
        """How many queues of a TUN are open; None for one that has but one, and for any other interface."""
        _, found = self._get_link(index)
        data = dict(attributes(dict(attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_DATA, b"")))
        if not any(data.get(IFLA_TUN_MULTI_QUEUE, b"")):
            return None
        counts = (IFLA_TUN_NUM_QUEUES, IFLA_TUN_NUM_DISABLED_QUEUES)
        return sum(int.from_bytes(data.get(kind, b""), "little") for kind in counts)

    def _get_link(self, index: int, netns: int | None = None) -> tuple[int, dict[int, bytes]]:
        """The flags and the attributes of an interface."""
        where = b"" if netns is None else attribute(IFLA_TARGET_NETNSID, struct.pack("=i", netns))
        body = self._ask(RTM_GETLINK, 0, _LINK.pack(0, 0, index, 0, 0) + where)
        _, _, _, flags, _ = _LINK.unpack_from(body)
        return flags, dict(attributes(body[_LINK.size :]))

    def close(self) -> None:
        """Close the socket.  Idempotent."""
        self._socket.close()

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, self._number, 0)
        self._socket.send(header + body)

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """Type and body of each message that answers the last request."""
        while True:
            for kind, number, body in _messages(self._socket.recv(ANSWER_MAX)):
                if number == self._number:
                    yield kind, body

    def _ask(self, kind: int, flags: int, body: bytes) -> bytes:
        """Send one request; what follows the header of its answer."""
        with self._lock:
            self._send(kind, flags, body)
            answered, answer = next(self._answers())
        if answered == NLMSG_ERROR:
            _raise_error(answer)
        return answer

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        """Send a request for all objects of a kind; what follows the header of each."""
        found: list[bytes] = []
        with self._lock:
            self._send(kind, NLM_F_DUMP, body)
            for answered, answer in self._answers():
                if answered == NLMSG_DONE:
                    break
                if answered == NLMSG_ERROR:
                    _raise_error(answer)
                found.append(answer)
        return found


class RtnetlinkEvents:
    """The kernel's notifications of changed interfaces, addresses and, where asked for, routes of a namespace."""

    def __init__(self, *, routes: bool) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_ADDRESSES | (RTMGRP_ROUTES if routes else 0)))

    def fileno(self) -> int:
        """Readable when there is a notification."""
        return self._socket.fileno()

    def read(self, index: int) -> tuple[bool, bool]:
        """Take all notifications: was there any, and did one say that interface ``index`` was down, lost IPv6, or left?

        After an overflow of the socket both are True.
        """
        changed = disturbed = False
        while True:
            try:
                data = self._socket.recv(ANSWER_MAX)
            except BlockingIOError:
                return changed, disturbed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed = disturbed = True
                continue
            changed = True
            for kind, _, body in _messages(data):
                if kind in (RTM_NEWLINK, RTM_DELLINK):
                    _, _, about, flags, _ = _LINK.unpack_from(body)
                    mtu = int.from_bytes(dict(attributes(body[_LINK.size :])).get(IFLA_MTU, b"\xff\xff"), "little")
                    left = kind == RTM_DELLINK or not flags & IFF_UP or mtu < IPV6_MTU_MIN
                    disturbed |= about == index and left

    def close(self) -> None:
        """Close the socket.  Idempotent."""
        self._socket.close()


def _link_view(flags: int, found: dict[int, bytes]) -> LinkView:
    families = dict(attributes(found.get(IFLA_AF_SPEC, b"")))
    inet6 = dict(attributes(families.get(socket.AF_INET6, b"")))
    switch = inet6.get(IFLA_INET6_CONF, b"")[DEVCONF_DISABLE_IPV6 * 4 :][:4]
    elsewhere = found.get(IFLA_LINK_NETNSID)
    return LinkView(
        name=found[IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape"),
        up=bool(flags & IFF_UP),
        operational=found[IFLA_OPERSTATE][0] == IF_OPER_UP,
        mtu=int.from_bytes(found[IFLA_MTU], "little"),
        ipv6_off=any(switch) if switch else None,
        kind=dict(attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
        master=int.from_bytes(found.get(IFLA_MASTER, b""), "little"),
        lower=int.from_bytes(found.get(IFLA_LINK, b""), "little"),
        carrier=bool(flags & IFF_LOWER_UP),
        group=int.from_bytes(found.get(IFLA_GROUP, b""), "little"),
        lower_netns=int.from_bytes(elsewhere, "little", signed=True) if elsewhere else None,
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
    )


def _address_request(index: int, address: Address, flags: int = 0) -> bytes:
    packed = address.ip.packed
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    head = _ADDRESS.pack(family, address.network.prefixlen, flags, 0, index)
    return head + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def _route_view(body: bytes) -> RouteView | None:
    family, bits, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(body)
    values = dict(attributes(body[_ROUTE.size :]))
    if int.from_bytes(values.get(RTA_TABLE, bytes([table])), "little") != RT_TABLE_MAIN or kind != RTN_UNICAST:
        return None
    size = 4 if family == socket.AF_INET else 16
    gateway = values.get(RTA_GATEWAY)
    return RouteView(
        index=int.from_bytes(values.get(RTA_OIF, b""), "little"),
        destination=ipaddress.ip_network((values.get(RTA_DST, bytes(size)), bits)),
        gateway=ipaddress.ip_address(gateway) if gateway else None,
        metric=int.from_bytes(values.get(RTA_PRIORITY, b""), "little"),
        protocol=protocol,
    )


def _raise_error(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, os.strerror(-code), errno.errorcode.get(-code, ""))


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, number, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, number, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def link_request(index: int) -> bytes:
    """What precedes the attributes of a request about interface ``index``; 0 for one that is to be made."""
    return _LINK.pack(0, 0, index, 0, 0)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(body: bytes) -> list[tuple[int, bytes]]:
    """All attributes of an answer; the flags in the upper bits of their types are dropped."""
    found, at = [], 0
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        found.append((kind & 0x3FFF, body[at + _ATTRIBUTE.size : at + length]))
        at += (length + 3) & ~3
    return found
