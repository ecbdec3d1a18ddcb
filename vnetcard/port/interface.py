"""Addresses, MTU, routes and link state of an interface, by pyroute2."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TX_QUEUE = 1000
"""Packets that the kernel keeps for us while the FIFO is full; it drops beyond that, and counts it."""


@dataclass(frozen=True, slots=True)
class Route:
    """``DESTINATION [via GATEWAY]``."""

    destination: Network
    gateway: ipaddress.IPv4Address | ipaddress.IPv6Address | None

    @classmethod
    def parse(cls, text: str) -> Route:
        """``10.0.0.0/8``, ``10.0.0.0/8 via 10.10.10.5`` or ``default via ...``; ConfigError otherwise."""
        try:
            match text.split():
                case ["default", "via", gateway]:
                    via = ipaddress.ip_address(gateway)
                    return cls(ipaddress.ip_network("0.0.0.0/0" if via.version == 4 else "::/0"), via)
                case [destination, "via", gateway]:
                    return cls(ipaddress.ip_network(destination), ipaddress.ip_address(gateway))
                case [destination]:
                    return cls(ipaddress.ip_network(destination), None)
        except ValueError as error:
            raise ConfigError(f"route {text!r} is not possible: {error}") from error
        raise ConfigError(f"route {text!r} is not understood: write 'NETWORK/BITS [via GATEWAY]'")


def parse_address(text: str) -> Address:
    """``10.10.10.1/24`` or ``fd00::1/64``; ConfigError otherwise, also where the prefix length is missing."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(f"address {text!r} is not possible: {error}") from error
    if "/" not in text:
        raise ConfigError(f"address {text!r} has no prefix length: write {text}/24 or the like")
    return address


class Interface:
    """An interface in a namespace, configured over one netlink socket that stays open."""

    def __init__(self, name: str, *, netns: str | None = None) -> None:
        from pyroute2 import IPRoute  # 150 ms: not for commands that need no network

        self.name = name
        with ns.inside(netns):
            self._netlink = IPRoute()
        found = self._netlink.link_lookup(ifname=name)
        if not found:
            self._netlink.close()
            raise PortUnavailable(f"interface {name}: it is not there")
        self.index: int = found[0]

    def up(self, *, mtu: int) -> None:
        """Set MTU (bytes) and queue, and bring the interface up; PortUnavailable when the kernel refuses."""
        self._call("bring it up", "link", "set", index=self.index, mtu=mtu, txqlen=TX_QUEUE, state="up")

    def set_mtu(self, mtu: int) -> None:
        """Change the MTU of an interface that is up."""
        self._call(f"set MTU {mtu}", "link", "set", index=self.index, mtu=mtu)

    def add_address(self, address: Address) -> None:
        """Add ``address``; that it is there already (a persistent TUN) is fine."""
        self._call(
            f"set address {address}",
            "addr",
            "replace",
            index=self.index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
        )

    def add_route(self, route: Route) -> None:
        """Add ``route`` over this interface; replaces one to the same destination."""
        more = {"gateway": str(route.gateway)} if route.gateway else {}
        self._call(
            f"set route {route.destination}",
            "route",
            "replace",
            dst=str(route.destination),
            oif=self.index,
            family=2 if route.destination.version == 4 else 10,
            **more,
        )

    def counters(self) -> dict[str, int]:
        """The kernel's own rx/tx packet and drop counters of the interface (``ip -s link``)."""
        (link,) = self._netlink.get_links(self.index)
        stats = link.get_attr("IFLA_STATS64") or {}
        return {name: int(stats[name]) for name in ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped")}

    def close(self) -> None:
        """Close the netlink socket; the interface stays as it is."""
        self._netlink.close()

    def _call(self, doing: str, what: str, verb: str, **arguments: object) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            getattr(self._netlink, what)(verb, **arguments)
        except NetlinkError as error:
            reason = error.args[1] if len(error.args) > 1 else error
            raise PortUnavailable(f"interface {self.name}: cannot {doing} ({reason})") from error
