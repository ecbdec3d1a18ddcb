"""One network interface, held by its index and a netlink socket in its namespace: link state, addresses, routes."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable
from vnetcard.port import netns as ns
from vnetcard.port.address import Address, Route
from vnetcard.port.kernel_queries import DeviceView, KernelQueries
from vnetcard.port.rtnetlink import OUR_PROTOCOL, AddressView, LinkView, RouteView

TX_QUEUE: Final = 1000
"""Packets that the kernel keeps for us while the FIFO is full; it drops beyond that, and counts it."""

OPEN_LIMIT: Final = 0.2
"""Seconds to wait for an interface that has its carrier; it takes about one millisecond."""

SCOPE_LINK: Final = 253
"""Of an IPv4 route without a gateway (RT_SCOPE_LINK, linux/rtnetlink.h), so that gateways behind it are reachable."""

UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL)
"""What the kernel answers to a route whose gateway is not reachable yet."""

Location = tuple[str, int]
"""An interface's name, and a descriptor of its namespace."""


@dataclass(frozen=True, slots=True)
class Root:
    """What root does for a user who has no permission: the command, and whether that has been done."""

    command: str
    has_done_it: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class State:
    """The interface as the kernel has it now; ``others``: addresses of the namespace's other interfaces, by name.

    ``detours``: own addresses to whose network packets leave by another interface, and that interface's name.
    ``netns``: as another process opens the namespace; None for the one in which this process runs.  ``netns_id`` is the
    namespace's device and inode number, equal for two interfaces of one namespace.
    """

    index: int
    netns: str | None
    netns_id: str
    link: LinkView
    addresses: tuple[AddressView, ...]
    routes: tuple[RouteView, ...]
    others: tuple[tuple[str, Address], ...]
    detours: tuple[tuple[Address, str], ...]


class Interface:
    """An interface in a namespace.  It is followed when it is renamed, and by ``find`` when it is moved.

    Only root may change it.  What root has set up before is accepted from an ordinary user; where something
    is missing, PortUnavailable names the command that root has to run.  ``locate`` says where the interface is now,
    or None where that cannot be known; the descriptor that it returns is closed here.
    """

    def __init__(
        self, name: str, *, netns: str | None = None, locate: Callable[[], Location | None] | None = None
    ) -> None:
        self._place: str | int | None = netns
        self._locate = locate
        self._iproute: Any = None
        with ns.inside(netns):
            self.index = _index_of(name)
            self._netlink = KernelQueries()
        self._name = name

    @property
    def name(self) -> str:
        """Its name of now; the last known one where it cannot be asked."""
        with contextlib.suppress(OSError):
            self._name = self.link().name
        return self._name

    @property
    def place(self) -> str | int | None:
        """The namespace, as ``netns.inside`` takes it."""
        return self._place

    def link(self) -> LinkView:
        """Its link as it is now; OSError (ENODEV) when it is not in the namespace any more."""
        return self._netlink.link(self.index)

    def device(self) -> DeviceView:
        """Its queue and its counters; OSError (ENODEV) when it is not in the namespace any more."""
        return self._netlink.device(self.index)

    def lower(self) -> tuple[LinkView, str | None]:
        """The interface below this one, such as that of a macvtap, and its namespace as in ``State.netns``.

        That is ``number N`` where it has no name.  OSError without permission to ask about another namespace (EPERM).
        """
        link = self.link()
        return self._netlink.link(link.lower, link.lower_netns), self._netns_of(link.lower_netns)

    def _netns_of(self, number: int | None) -> str | None:
        if number is None:
            return ns.name_of(self._place) if isinstance(self._place, int) else self._place
        for place in ns.listed():
            with contextlib.suppress(OSError):
                if self._netlink.number_of(place) == number:
                    return ns.name_of(place)
        return f"number {number}"

    def state(self, *, routes: bool) -> State:
        """Everything, with its routes where asked for; OSError (ENODEV) when it is not in the namespace any more."""
        link = self.link()
        addresses = self._netlink.addresses()
        own = tuple(one for one in addresses if one.index == self.index)
        foreign = [one for one in addresses if one.index != self.index and not one.address.is_link_local]
        names = {index: one.name for index, one in self._netlink.links().items()} if foreign else {}
        over_it = [route for version in (4, 6) for route in self._routes(version)] if routes else []
        netns = self._netns_of(None)
        others = tuple((names.get(one.index, f"interface {one.index}"), one.address) for one in foreign)
        detours = tuple(self._detours([one.address for one in own])) if link.up else ()
        return State(self.index, netns, ns.identity(self._place), link, own, tuple(over_it), others, detours)

    def _detours(self, addresses: list[Address]) -> Iterator[tuple[Address, str]]:
        for address in addresses:
            own, network = int(address.ip), address.network
            first, last = int(network.network_address), int(network.broadcast_address)
            if first == last or address.is_link_local:
                continue
            neighbour = type(address.ip)(own + 1 if own < last else own - 1)
            with contextlib.suppress(OSError):  # no route, or the interface has just gone
                index = self._netlink.interface_to(neighbour)
                if index != self.index:
                    yield address, self._netlink.link(index).name

    def _routes(self, version: int) -> list[RouteView]:
        try:
            return self._netlink.routes(version, self.index)
        except OSError as error:  # a kernel without IPv6
            if error.errno in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                return []
            raise

    def find(self) -> bool:
        """After it has left its namespace: go on with it where it is now.  False: it was not found."""
        located = self._locate() if self._locate else None
        if located is None:
            return False
        name, place = located
        try:
            with ns.inside(place):
                index, netlink = socket.if_nametoindex(name), KernelQueries()
        except (OSError, PortUnavailable):
            os.close(place)
            return False
        self.close()
        self._place, self.index, self._netlink, self._iproute = place, index, netlink, None
        return True

    def up(self, *, mtu: int) -> None:
        """Set MTU (bytes) and queue, and bring the interface up; PortUnavailable when the kernel refuses."""
        root = Root(f"ip link set {self.name} up mtu {mtu}", lambda: self.link().up and self.link().mtu <= mtu)
        self._try("bring it up", root, lambda: self._netlink.set_link(self.index, mtu=mtu, txqlen=TX_QUEUE, up=True))

    def set_mtu(self, mtu: int) -> None:
        """Change the MTU (bytes) of an interface that is up."""
        root = Root(f"ip link set {self.name} mtu {mtu}", lambda: self.link().mtu <= mtu)
        self._try(f"set MTU {mtu}", root, lambda: self._netlink.set_link(self.index, mtu=mtu))

    def bridge(self, name: str) -> tuple[int, LinkView]:
        """Index and state of the bridge ``name`` beside this interface; PortUnavailable where there is none."""
        for index, link in self._netlink.links().items():
            if link.name == name:
                if link.kind == "bridge":
                    return index, link
                raise PortUnavailable(
                    f"--bridge {name}: this interface is no bridge; `ip link show type bridge` lists those there are",
                    code=ErrorCode.BRIDGE_UNUSABLE,
                )
        raise PortUnavailable(
            f"--bridge {name}: there is no such bridge where {self.name} is; "
            f"create it: `ip link add {name} up type bridge`",
            code=ErrorCode.BRIDGE_UNUSABLE,
        )

    def set_bridge(self, name: str | None) -> None:
        """Make the interface a port of the bridge ``name``, or of none; PortUnavailable when the kernel refuses."""
        master = self.bridge(name)[0] if name else 0
        words = f"master {name}" if name else "nomaster"
        root = Root(f"ip link set {self.name} {words}", lambda: self.link().master == master)
        self._try(f"join bridge {name}", root, lambda: self._netlink.set_master(self.index, master))

    def wait_open(self) -> None:
        """Return once the kernel has seen the carrier, or OPEN_LIMIT has passed.

        It follows a moment after TUNSETCARRIER (linkwatch); until then it drops what it wants to send.
        """
        deadline = time.monotonic() + OPEN_LIMIT
        with contextlib.suppress(OSError):  # deleted or moved in this moment: the pumps or the next check report it
            while (link := self.link()).up and not link.operational and time.monotonic() < deadline:
                time.sleep(0.001)

    def add_address(self, address: Address) -> None:
        """Add ``address``; an address that is there already (a persistent TUN) is no error."""
        root = Root(f"ip address add {address} dev {self.name}", lambda: self._has_address(address))
        self._try(f"set address {address}", root, lambda: self._netlink.replace_address(self.index, address))

    def remove_address(self, address: Address) -> None:
        """Remove ``address``; PortUnavailable when the kernel refuses."""
        root = Root(f"ip address del {address} dev {self.name}", lambda: not self._has_address(address))
        self._try(f"remove address {address}", root, lambda: self._netlink.delete_address(self.index, address))

    def prepare_routes(self) -> None:
        """Open what routes are set with, which takes a permission that the process may give up; PortUnavailable."""
        self._pyroute2()

    def add_route(self, route: Route) -> None:
        """Add ``route`` over this interface; one that is there already is no error.

        A route of another interface is never replaced: PortUnavailable (ROUTE_CONFLICT) names that interface.
        """
        root = Root(f"ip route add {route} dev {self.name}", lambda: self._has_route(route))
        self._try(f"set route {route}", root, lambda: self._add_route(route))

    def remove_route(self, route: RouteView) -> None:
        """Remove a route over this interface."""
        what = Route(route.destination, route.gateway, route.metric)
        root = Root(f"ip route del {what} dev {self.name}", lambda: not self._has_route(what))
        self._try(f"remove route {what}", root, lambda: self._change_route("del", what))

    def close(self) -> None:
        """Close the netlink sockets; the interface stays as it is.  Idempotent."""
        self._netlink.close()
        if self._iproute is not None:
            self._iproute.close()
            self._iproute = None
        if isinstance(self._place, int):
            os.close(self._place)
            self._place = None

    def _pyroute2(self) -> Any:
        """Its socket, created when it is first wanted: the import takes two thirds of an agent's start."""
        if self._iproute is None:
            try:
                from pyroute2 import IPRoute
            except ImportError as error:
                raise PortUnavailable(
                    f"interface {self.name}: pyroute2 cannot be loaded ({error}): install it; "
                    "it needs Python's modules ssl and sqlite3, which a small system may lack"
                ) from error
            with ns.inside(self._place):
                self._iproute = IPRoute()
        return self._iproute

    def _add_route(self, route: Route) -> None:
        try:
            self._change_route("add", route)  # never "replace": that takes the route of any interface
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            self._accept_existing(route)

    def _accept_existing(self, route: Route) -> None:
        """The kernel has a route to the destination with this metric: ours is fine, an old one of ours is replaced."""
        there = [
            one
            for one in self._netlink.routes(route.destination.version)
            if one.destination == route.destination and one.metric == route.effective_metric
        ]
        if any(one.index == self.index and one.gateway == route.gateway for one in there):
            return
        if there and all(one.index == self.index and one.ours for one in there):
            for one in there:
                self._change_route("del", Route(one.destination, one.gateway, one.metric))
            self._change_route("add", route)
            return
        links = self._netlink.links()
        owners = sorted({links[one.index].name if one.index in links else "several interfaces" for one in there})
        example = Route(route.destination, route.gateway, route.effective_metric + 100)
        raise PortUnavailable(
            f"interface {self.name}: {' and '.join(owners) or 'another interface'} has a route to {route.destination} "
            f"(metric {route.effective_metric}) already, which stays as it is; give this one another metric: "
            f"--route '{example}'",
            code=ErrorCode.ROUTE_CONFLICT,
        )

    def _change_route(self, command: str, route: Route) -> None:
        iproute = self._pyroute2()
        from pyroute2.netlink.exceptions import NetlinkError

        more: dict[str, object] = {"gateway": str(route.gateway)} if route.gateway else {}
        if route.metric is not None:
            more["priority"] = route.metric
        if route.destination.version == 4 and route.gateway is None:
            more["scope"] = SCOPE_LINK
        if command == "add":
            more["proto"] = OUR_PROTOCOL
        family = 2 if route.destination.version == 4 else 10
        try:
            iproute.route(command, dst=str(route.destination), oif=self.index, family=family, **more)
        except NetlinkError as error:
            raise OSError(error.code, str(error.args[1] if len(error.args) > 1 else error)) from error

    def _has_address(self, address: Address) -> bool:
        return any(one.index == self.index and one.address == address for one in self._netlink.addresses())

    def _has_route(self, route: Route) -> bool:
        return any(is_route(one, route) for one in self._routes(route.destination.version))

    def _try(self, doing: str, root: Root, action: Callable[[], None]) -> None:
        """``action``; where only root may, it is enough that root has done it."""
        try:
            action()
        except OSError as error:
            where = f"interface {self._name}: cannot {doing}"
            if error.errno == errno.EPERM:
                if root.has_done_it():
                    return
                raise PortUnavailable(
                    f"{where}: only root may; run as root: `{root.command}`", code=ErrorCode.PORT_PERMISSION
                ) from error
            if error.errno in UNREACHABLE and "route" in doing:
                raise PortUnavailable(
                    f"{where} ({error.strerror}): its gateway must be in a network of the interface",
                    code=ErrorCode.ROUTE_UNREACHABLE,
                ) from error
            raise PortUnavailable(f"{where} ({error.strerror})") from error


def is_route(view: RouteView, route: Route) -> bool:
    """Is the route that the kernel has the one that was asked for?"""
    same = view.destination == route.destination and view.gateway == route.gateway
    return same and (route.metric is None or view.metric == route.effective_metric)


def _index_of(name: str) -> int:
    """The interface's index; PortUnavailable without one, OSError where a limit keeps the kernel from being asked."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # the call above gives no number for a limit
        raise PortUnavailable(f"no interface {name!r}", code=ErrorCode.PORT_GONE) from None
