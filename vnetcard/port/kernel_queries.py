"""Questions to the kernel about an interface's counters, and about what it does with a packet that comes in by it.

Source: rtnetlink(7), Linux include/uapi/linux/{if_link,gen_stats,pkt_sched,rtnetlink,netconf,neighbour}.h.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import Final

from vnetcard.port.address import Gateway
from vnetcard.port.rtnetlink import (
    IFF_LOWER_UP,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_TXQLEN,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTM_GETROUTE,
    Rtnetlink,
    attribute,
    attributes,
)

RTM_GETNEIGH, RTM_GETQDISC, RTM_GETNETCONF = 30, 38, 82
IFLA_QDISC, IFLA_STATS64, IFLA_CARRIER_CHANGES = 6, 23, 35
TCA_STATS2, TCA_STATS_QUEUE = 7, 3
TC_H_ROOT = 0xFFFF_FFFF
RTA_SRC, RTA_IIF = 2, 3
RTN_LOCAL = 2
NETCONFA_IFINDEX, NETCONFA_FORWARDING = 1, 2
NETCONFA_IFINDEX_ALL = -1
NDA_DST = 1
NUD_INCOMPLETE, NUD_FAILED = 0x01, 0x20

LINK_STATS: Final = {"rx_errors": 4, "tx_errors": 5, "rx_dropped": 6, "tx_dropped": 7}
"""Where IFLA_STATS64 (struct rtnl_link_stats64) has them."""
COUNTERS: Final = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"),
    *("rx_errors", "tx_errors", "rx_dropped", "tx_dropped"),
)
"""The first words of struct rtnl_link_stats64."""
_TC = struct.Struct("=BxxxiIII")
"""tcmsg: family, index, handle, parent, info."""
_NETCONF = struct.Struct("=Bxxx")
"""netconfmsg: family."""
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
"""ndmsg: family, index, state, flags, type."""
_ROUTE = struct.Struct("=BBBBBBBBI")
"""rtmsg: family, destination bits, source bits, tos, table, protocol, scope, type, flags."""
_QUEUE = struct.Struct("=IIIII")
"""gnet_stats_queue: packets and bytes that wait, drops, requeues, overlimits."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Where the kernel sends a packet: to itself (``local``), or by the interface ``index`` to ``gateway``."""

    local: bool
    index: int
    gateway: Gateway | None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """An interface as a device: its queue, and ``counters``: those of COUNTERS and of its queueing discipline.

    ``tx`` is what the kernel sends by the interface.  ``qdisc`` is '' and ``waiting`` 0 where it has no queue;
    ``waiting`` and ``txqueuelen`` count packets.
    """

    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    carrier_changes: int
    qdisc: str
    txqueuelen: int
    waiting: int
    counters: dict[str, int]


class KernelQueries(Rtnetlink):
    """A socket for these questions in the network namespace in which it was made; a refusal raises OSError."""

    def link_counters(self, index: int) -> tuple[str, dict[str, int]]:
        """The interface's name, and ``link.NAME`` of LINK_STATS."""
        _, found = self._get_link(index)
        data = found.get(IFLA_STATS64, b"")
        words = struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])
        name = found[IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape")
        return name, {f"link.{what}": words[at] for what, at in LINK_STATS.items() if at < len(words)}

    def index_of(self, name: str) -> int:
        """The index of the interface ``name``; KeyError where there is none."""
        return {link.name: index for index, link in self.links().items()}[name]

    def device(self, index: int) -> DeviceView:
        """The interface as a device; ENODEV when this namespace has none of this index."""
        flags, found = self._get_link(index)
        data = found.get(IFLA_STATS64, b"")[: 8 * len(COUNTERS)]
        counters = dict(zip(COUNTERS, struct.unpack(f"={len(data) // 8}Q", data), strict=False))
        waiting = 0
        with contextlib.suppress(OSError):  # a kernel without queueing disciplines
            waiting, counters["qdisc_dropped"] = self._queue(index)
        address = found.get(IFLA_ADDRESS, b"")
        return DeviceView(
            name=found[IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape"),
            mac=address.hex(":") if len(address) == 6 and any(address) else "",
            mtu=int.from_bytes(found[IFLA_MTU], "little"),
            up=bool(flags & IFF_UP),
            carrier=bool(flags & IFF_LOWER_UP),
            carrier_changes=int.from_bytes(found.get(IFLA_CARRIER_CHANGES, b""), "little"),
            qdisc=found.get(IFLA_QDISC, b"").rstrip(b"\0").decode(errors="surrogateescape"),
            txqueuelen=int.from_bytes(found.get(IFLA_TXQLEN, b""), "little"),
            waiting=waiting,
            counters=counters,
        )

    def queue_drops(self, index: int) -> int:
        """Packets that the interface's queueing discipline has dropped."""
        return self._queue(index)[1]

    def _queue(self, index: int) -> tuple[int, int]:
        """Packets that wait in the interface's queueing discipline, and those that it has dropped."""
        waiting = drops = 0
        for body in self._dump(RTM_GETQDISC, _TC.pack(0, index, 0, 0, 0)):
            _, about, _, parent, _ = _TC.unpack_from(body)
            if about == index and parent == TC_H_ROOT:  # the root has the sums of its parts
                statistics = dict(attributes(dict(attributes(body[_TC.size :])).get(TCA_STATS2, b"")))
                queue = statistics.get(TCA_STATS_QUEUE, b"")
                if len(queue) >= _QUEUE.size:
                    waiting += _QUEUE.unpack_from(queue)[0]
                    drops += _QUEUE.unpack_from(queue)[2]
        return waiting, drops

    def route(self, destination: Gateway, *, source: Gateway | None = None, came_in: int = 0) -> Hop:
        """What the kernel does with a packet, after all rules and tables.

        ``came_in``: the interface by which it comes in, with its ``source``; without, this machine sends it.  OSError
        says why it would be discarded: EXDEV (reverse path filter), EHOSTUNREACH (IPv4: not an own address, and this
        machine does not forward), ENETUNREACH (no route), EINVAL (an address that no packet may have).
        """
        bits = len(destination.packed) * 8
        body = _ROUTE.pack(_family(destination), bits, bits if source else 0, 0, 0, 0, 0, 0, 0)
        body += attribute(RTA_DST, destination.packed)
        if source is not None:
            body += attribute(RTA_SRC, source.packed)
        if came_in:
            body += attribute(RTA_IIF, struct.pack("=I", came_in))
        answer = self._ask(RTM_GETROUTE, 0, body)
        values = dict(attributes(answer[_ROUTE.size :]))
        gateway = values.get(RTA_GATEWAY)
        return Hop(
            local=_ROUTE.unpack_from(answer)[7] == RTN_LOCAL,
            index=int.from_bytes(values.get(RTA_OIF, b""), "little"),
            gateway=ipaddress.ip_address(gateway) if gateway else None,
        )

    def forwards(self, version: int) -> bool:
        """Does this namespace forward packets of IPv4 or IPv6?"""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = _NETCONF.pack(family) + attribute(NETCONFA_IFINDEX, struct.pack("=i", NETCONFA_IFINDEX_ALL))
        values = dict(attributes(self._ask(RTM_GETNETCONF, 0, body)[_NETCONF.size :]))
        return any(values.get(NETCONFA_FORWARDING, b""))

    def neighbour_failed(self, index: int, address: Gateway) -> bool:
        """Has no machine behind interface ``index`` answered to the question for ``address`` (ARP, NDP)?"""
        for body in self._dump(RTM_GETNEIGH, _NEIGHBOUR.pack(_family(address), 0, 0, 0, 0)):
            _, about, state, _, _ = _NEIGHBOUR.unpack_from(body)
            if about == index and dict(attributes(body[_NEIGHBOUR.size :])).get(NDA_DST) == address.packed:
                return bool(state & (NUD_INCOMPLETE | NUD_FAILED))
        return False


def _family(address: Gateway) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
