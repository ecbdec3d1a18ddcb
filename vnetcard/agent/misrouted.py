"""What the kernel does with a packet that has come through the link: why it would be discarded, and the command."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.cause import CauseCode
from vnetcard.port.address import Gateway
from vnetcard.port.kernel_queries import Hop, KernelQueries
from vnetcard.ring.dissect import Packet

SYSCTL: Final = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


@dataclass(frozen=True, slots=True)
class Misrouted:
    """A packet that this kernel discards, or whose answers it discards; ``fix`` is what changes that."""

    code: CauseCode
    source: str
    destination: str
    words: str
    fix: str


@dataclass(frozen=True, slots=True)
class Place:
    """The interface by which the packets come in; ``netns``: its namespace as ip-netns(8) names it, or None."""

    index: int
    name: str
    netns: str | None

    def ip(self, words: str) -> str:
        """The command ``ip`` in the namespace."""
        return f"`ip -n {self.netns} {words}`" if self.netns else f"`ip {words}`"

    def sysctl(self, words: str) -> str:
        """The command ``sysctl`` in the namespace."""
        return f"`ip netns exec {self.netns} sysctl {words}`" if self.netns else f"`sysctl {words}`"


def judge(queries: KernelQueries, place: Place, packet: Packet) -> Misrouted | None:
    """Why this kernel discards ``packet``; None where it does not, or the packet is no unicast.

    Raises OSError when the kernel cannot be asked.
    """
    source, destination = ipaddress.ip_address(packet.source), ipaddress.ip_address(packet.destination)
    if not (_unicast(source) and _unicast(destination)):
        return None
    found = _judge(queries, place, source, destination)
    return found and Misrouted(found[0], packet.source, packet.destination, found[1], found[2])


def _judge(
    queries: KernelQueries, place: Place, source: Gateway, destination: Gateway
) -> tuple[CauseCode, str, str] | None:
    try:
        hop = queries.route(destination, source=source, came_in=place.index)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EINVAL):
            return _no_route_back(queries, place, source, filtered=True)
        if error.errno == errno.EHOSTUNREACH:
            return _not_ours(queries, place, destination, _route(queries, destination))
        if error.errno == errno.ENETUNREACH:
            return _not_ours(queries, place, destination, None)
        raise
    if hop.local:
        return _no_route_back(queries, place, source, filtered=False)
    if destination.version == 6 and not queries.forwards(6):  # IPv4 has answered EHOSTUNREACH
        return _not_ours(queries, place, destination, hop)
    neighbour = hop.gateway or destination
    if hop.index != place.index and queries.neighbour_failed(hop.index, neighbour):
        name = queries.link(hop.index).name
        what = "ARP" if neighbour.version == 4 else "neighbour discovery"
        words = f"{neighbour} does not answer to {what} on {name}"
        return CauseCode.NEIGHBOUR_FAILED, words, f"check that machine and {place.ip(f'neigh show dev {name}')}"
    return None


def _no_route_back(
    queries: KernelQueries, place: Place, source: Gateway, *, filtered: bool
) -> tuple[CauseCode, str, str] | None:
    back = _route(queries, source)
    fix = place.ip(f"route add {_alone(source)} dev {place.name}")
    if back is None:
        return CauseCode.NO_ROUTE_BACK, f"there is no route to {source}", fix
    if filtered and not back.local and back.index != place.index:
        name = queries.link(back.index).name
        words = f"the route to {source} leaves by {name}, and the reverse path filter expects its packets there"
        return CauseCode.REVERSE_PATH_FILTER, words, fix
    return None


def _not_ours(
    queries: KernelQueries, place: Place, destination: Gateway, hop: Hop | None
) -> tuple[CauseCode, str, str]:
    if hop is None:
        words = f"{destination} is no address of this machine, and there is no route to it"
        return CauseCode.FOREIGN_ADDRESS, words, place.ip(f"route add {_alone(destination)} via GATEWAY")
    if hop.index == place.index:
        words = f"no interface of this machine has the address {destination}"
        fix = place.ip(f"address add {_alone(destination)} dev {place.name}")
        return CauseCode.FOREIGN_ADDRESS, words, f"correct the address, or {fix}"
    words = f"{destination} is behind {queries.link(hop.index).name}, and this machine does not forward"
    setting = SYSCTL[destination.version]
    if queries.forwards(destination.version):  # and this interface alone does not
        setting = f"net.ipv{destination.version}.conf.{place.name}.forwarding"
    return CauseCode.NOT_FORWARDING, words, place.sysctl(f"-w {setting}=1")


def _route(queries: KernelQueries, address: Gateway) -> Hop | None:
    """How this machine itself sends to ``address``; None without a route."""
    with contextlib.suppress(OSError):
        return queries.route(address)
    return None


def _alone(address: Gateway) -> str:
    return f"{address}/{len(address.packed) * 8}"


def _unicast(address: Gateway) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        return False  # its interface is part of it
    limited = address == ipaddress.IPv4Address("255.255.255.255")
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or limited)
