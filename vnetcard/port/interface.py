"""Addresses, MTU, routes and link state of an interface; routes, and what root has set up, by pyroute2."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns
from vnetcard.port.rtnetlink import LinkView, Rtnetlink

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
        self.name = name
        self._netns = netns
        self._iproute: Any = None
        with ns.inside(netns):
            try:
                self.index = socket.if_nametoindex(name)
            except OSError:
                raise PortUnavailable(f"interface {name}: it is not there") from None
            self._netlink = Rtnetlink()

    def up(self, *, mtu: int) -> None:
        """Set MTU (bytes) and queue, and bring the interface up; PortUnavailable when the kernel refuses."""
        root = Root(f"ip link set {self.name} up mtu {mtu}", lambda: self._link().up and self._link().mtu <= mtu)
        self._try("bring it up", root, lambda: self._netlink.set_link(self.index, mtu=mtu, txqlen=TX_QUEUE, up=True))

    def set_mtu(self, mtu: int) -> None:
        """Change the MTU of an interface that is up."""
        root = Root(f"ip link set {self.name} mtu {mtu}", lambda: self._link().mtu <= mtu)
        self._try(f"set MTU {mtu}", root, lambda: self._netlink.set_link(self.index, mtu=mtu))

    def wait_open(self) -> None:
        """Return once the kernel has seen the carrier, or OPEN_LIMIT has passed.

        It follows a moment after TUNSETCARRIER (linkwatch); until then it drops what it wants to send.
        """
        deadline = time.monotonic() + OPEN_LIMIT
        with contextlib.suppress(OSError):  # deleted in this moment: whoever uses it will say so
            while (link := self._link()).up and not link.operational and time.monotonic() < deadline:
                time.sleep(0.001)

    def add_address(self, address: Address) -> None:
        """Add ``address``; that it is there already (a persistent TUN) is fine."""
        root = Root(f"ip address add {address} dev {self.name}", lambda: self._has_address(address))
        self._try(f"set address {address}", root, lambda: self._netlink.replace_address(self.index, address))

    def add_route(self, route: Route) -> None:
        """Add ``route`` over this interface; replaces one to the same destination."""
        root = Root(f"ip route add {route} dev {self.name}", lambda: self._has_route(route))
        hint = "; a gateway must be in a network of the interface"
        self._try(f"set route {route}", root, lambda: self._replace_route(route), hint=hint)

    def close(self) -> None:
        """Close the netlink sockets; the interface stays as it is."""
        self._netlink.close()
        if self._iproute is not None:
            self._iproute.close()

    def _link(self) -> LinkView:
        return self._netlink.link(self.index)

    def _pyroute2(self) -> Any:
        """Its socket, made when it is first wanted: the import takes two thirds of an agent's start."""
        if self._iproute is None:
            try:
                from pyroute2 import IPRoute
            except ImportError as error:
                raise PortUnavailable(
                    f"interface {self.name}: pyroute2 cannot be loaded ({error}): install it; "
                    "it needs Python's modules ssl and sqlite3, which a small system may have left out"
                ) from error
            with ns.inside(self._netns):
                self._iproute = IPRoute()
        return self._iproute

    def _replace_route(self, route: Route) -> None:
        iproute = self._pyroute2()
        from pyroute2.netlink.exceptions import NetlinkError

        more = {"gateway": str(route.gateway)} if route.gateway else {}
        family = 2 if route.destination.version == 4 else 10
        try:
            iproute.route("replace", dst=str(route.destination), oif=self.index, family=family, **more)
        except NetlinkError as error:
            raise OSError(error.code, str(error.args[1] if len(error.args) > 1 else error)) from error

    def _has_address(self, address: Address) -> bool:
        found = self._pyroute2().get_addr(index=self.index)
        return any(
            ipaddress.ip_interface(f"{one.get_attr('IFA_LOCAL') or one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}")
            == address
            for one in found
        )

    def _has_route(self, route: Route) -> bool:
        family = 2 if route.destination.version == 4 else 10
        found = self._pyroute2().get_routes(family=family, oif=self.index)
        gateway = str(route.gateway) if route.gateway else None
        wanted = (str(route.destination.network_address), route.destination.prefixlen, gateway)
        anywhere = "0.0.0.0" if family == 2 else "::"
        return wanted in [
            (one.get_attr("RTA_DST") or anywhere, one["dst_len"], one.get_attr("RTA_GATEWAY")) for one in found
        ]

    def _try(self, doing: str, root: Root, action: Callable[[], None], *, hint: str = "") -> None:
        """``action``; where only root may, it is enough that root has done it."""
        try:
            action()
        except OSError as error:
            if error.errno == errno.EPERM:
                if root.has_done_it():
                    return
                raise PortUnavailable(
                    f"interface {self.name}: cannot {doing}, only root may; let root run `{root.command}`"
                ) from error
            raise PortUnavailable(f"interface {self.name}: cannot {doing} ({error.strerror}){hint}") from error
