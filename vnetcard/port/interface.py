"""Addresses, MTU, routes and link state of an interface, by pyroute2."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TX_QUEUE = 1000
"""Packets that the kernel keeps for us while the FIFO is full; it drops beyond that, and counts it."""

OPEN_LIMIT = 0.2
"""Seconds to wait for an interface that has its carrier; it takes about one millisecond."""


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
                    network, via = ipaddress.ip_network(destination), ipaddress.ip_address(gateway)
                    if network.version != via.version:
                        raise ValueError(f"{network} is IPv{network.version}, {via} is IPv{via.version}")
                    return cls(network, via)
                case [destination]:
                    return cls(ipaddress.ip_network(destination), None)
        except ValueError as error:
            raise ConfigError(f"route {text!r} is not possible: {error}") from error
        raise ConfigError(f"route {text!r} is not understood: write 'NETWORK/BITS [via GATEWAY]'")

    def __str__(self) -> str:
        return f"{self.destination} via {self.gateway}" if self.gateway else str(self.destination)


def parse_address(text: str) -> Address:
    """``10.10.10.1/24`` or ``fd00::1/64``; ConfigError otherwise, also where the prefix length is missing."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(
            f"address {text!r} is not possible: write IP/BITS, such as 10.10.10.1/24 or fd00::1/64"
        ) from error
    if "/" not in text:
        bits = 24 if address.version == 4 else 64
        raise ConfigError(f"address {text!r} has no prefix length: write {text}/{bits} or the like")
    if address.ip.is_multicast or address.ip.is_unspecified:
        kind = "multicast" if address.ip.is_multicast else "unspecified"
        raise ConfigError(f"address {text!r} is {kind}: an interface needs one of its own, such as 10.10.10.1/24")
    return address


@dataclass(frozen=True, slots=True)
class Root:
    """What root does in place of a user who may not: the command, and whether that has been done."""

    command: str
    has_done_it: Callable[[], bool]


class Interface:
    """An interface in a namespace, configured over one netlink socket that stays open.

    Only root may change it.  What root has set up before is accepted from an ordinary user; where something
    is missing, PortUnavailable names the command that root has to run.
    """

    def __init__(self, name: str, *, netns: str | None = None) -> None:
        try:
            from pyroute2 import IPRoute  # 150 ms: not for commands that need no network
        except ImportError as error:
            raise PortUnavailable(
                f"interface {name}: pyroute2 cannot be loaded ({error}): install it; "
                "it needs Python's modules ssl and sqlite3, which a small system may have left out"
            ) from error

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
        root = Root(f"ip link set {self.name} up mtu {mtu}", lambda: self._is_up() and self._mtu() <= mtu)
        self._call("bring it up", "link", "set", root, index=self.index, mtu=mtu, txqlen=TX_QUEUE, state="up")

    def set_mtu(self, mtu: int) -> None:
        """Change the MTU of an interface that is up."""
        root = Root(f"ip link set {self.name} mtu {mtu}", lambda: self._mtu() <= mtu)
        self._call(f"set MTU {mtu}", "link", "set", root, index=self.index, mtu=mtu)

    def wait_open(self) -> None:
        """Return once the kernel has seen the carrier, or OPEN_LIMIT has passed.

        It follows a moment after TUNSETCARRIER (linkwatch); until then it drops what it wants to send.
        """
        from pyroute2.netlink.exceptions import NetlinkError

        deadline = time.monotonic() + OPEN_LIMIT
        with contextlib.suppress(NetlinkError):  # deleted in this moment: whoever uses it will say so
            while self._is_up() and self._operstate() != "UP" and time.monotonic() < deadline:
                time.sleep(0.001)

    def add_address(self, address: Address) -> None:
        """Add ``address``; that it is there already (a persistent TUN) is fine."""
        self._call(
            f"set address {address}",
            "addr",
            "replace",
            Root(f"ip address add {address} dev {self.name}", lambda: self._has_address(address)),
            index=self.index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
        )

    def add_route(self, route: Route) -> None:
        """Add ``route`` over this interface; replaces one to the same destination."""
        more = {"gateway": str(route.gateway)} if route.gateway else {}
        self._call(
            f"set route {route}",
            "route",
            "replace",
            Root(f"ip route add {route} dev {self.name}", lambda: self._has_route(route)),
            dst=str(route.destination),
            oif=self.index,
            family=2 if route.destination.version == 4 else 10,
            **more,
        )

    def close(self) -> None:
        """Close the netlink socket; the interface stays as it is."""
        self._netlink.close()

    def _is_up(self) -> bool:
        (link,) = self._netlink.get_links(self.index)
        return bool(link["flags"] & 1)  # IFF_UP

    def _operstate(self) -> str:
        (link,) = self._netlink.get_links(self.index)
        return str(link.get_attr("IFLA_OPERSTATE"))

    def _mtu(self) -> int:
        (link,) = self._netlink.get_links(self.index)
        return int(link.get_attr("IFLA_MTU"))

    def _has_address(self, address: Address) -> bool:
        found = self._netlink.get_addr(index=self.index)
        return any(
            ipaddress.ip_interface(f"{one.get_attr('IFA_LOCAL') or one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}")
            == address
            for one in found
        )

    def _has_route(self, route: Route) -> bool:
        family = 2 if route.destination.version == 4 else 10
        found = self._netlink.get_routes(family=family, oif=self.index)
        gateway = str(route.gateway) if route.gateway else None
        wanted = (str(route.destination.network_address), route.destination.prefixlen, gateway)
        anywhere = "0.0.0.0" if family == 2 else "::"
        return wanted in [
            (one.get_attr("RTA_DST") or anywhere, one["dst_len"], one.get_attr("RTA_GATEWAY")) for one in found
        ]

    def _call(self, doing: str, what: str, verb: str, root: Root, **arguments: object) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            getattr(self._netlink, what)(verb, **arguments)
        except NetlinkError as error:
            if error.code == errno.EPERM:
                if root.has_done_it():
                    return
                raise PortUnavailable(
                    f"interface {self.name}: cannot {doing}, only root may; let root run `{root.command}`"
                ) from error
            reason = error.args[1] if len(error.args) > 1 else error
            hint = "; a gateway must be in a network of the interface" if what == "route" else ""
            raise PortUnavailable(f"interface {self.name}: cannot {doing} ({reason}){hint}") from error
