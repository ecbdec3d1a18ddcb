"""``macvtap:IF[?name=NAME]``: a macvtap (mode bridge) over the interface IF: one more MAC address on its network.

It passes only frames to and from its own MAC address (and broadcasts, multicasts).  Closing its descriptors does not
remove it, as it does a TAP: ``close`` does, and the next ``open_port`` of this name after a ``kill -9``; also in
another namespace, as long as `ip netns` lists that.
Source: Linux drivers/net/{macvlan,macvtap,tap}.c, include/uapi/linux/if_link.h; proto_down of a macvlan since Linux
4.12.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns
from vnetcard.port.mac import Mac
from vnetcard.port.rtnetlink import (
    IFLA_AF_SPEC,
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    NLM_F_ACK,
    NLM_F_CREATE,
    OUR_PROTOCOL,
    RTM_DELLINK,
    RTM_NEWLINK,
    LinkView,
    Rtnetlink,
    attribute,
    link_request,
)
from vnetcard.port.tap import TapPort
from vnetcard.port.tap_node import open_node
from vnetcard.port.tun import (
    IFF_MULTI_QUEUE,
    IFF_NO_PI,
    IFF_TAP,
    IFF_VNET_HDR,
    IFREQ_BYTES,
    TUNGETIFF,
    TUNSETIFF,
    check_name,
)
from vnetcard.terminal import limits

NLM_F_EXCL = 0x200
IFLA_PROTO_DOWN = 39
IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE = 1, 4
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
OUR_GROUP: Final = OUR_PROTOCOL
"""Group (IFLA_GROUP) of an agent's macvtap, by which the next agent knows one that a killed agent has left."""
DEFAULT_NAME: Final = "macvtap0"


class MacvtapPort(TapPort):
    """A macvtap, opened once per queue; see ``vnetcard.port.Port`` for the contract."""

    kind = "macvtap"

    def __init__(self, name: str, opened: contextlib.ExitStack, fds: tuple[int, ...], netlink: _Requests) -> None:
        super().__init__(name, opened, fds)
        self._netlink = netlink
        self._up = False

    @property
    def gone(self) -> bool:
        """Was it deleted, by itself or with its lower interface?  Its descriptors do not say so."""
        try:
            fcntl.ioctl(self.fds[0], TUNGETIFF, bytes(IFREQ_BYTES))
        except OSError as error:
            return error.errno in (errno.ENOLINK, errno.ENODEV)
        return False

    def set_mac(self, mac: Mac) -> None:
        """As its base; one that was moved to another namespace before its agent was killed would keep the address."""
        _remove_left(self.name, str(mac))
        super().set_mac(mac)

    def locate(self) -> tuple[str, int] | None:
        """Its name and a new descriptor of its namespace; None where it was deleted, or `ip netns` does not list that.

        This driver does not say in which namespace it is: kind, group, name and MAC address tell which one is meant.
        """
        try:
            name, mac = self.name, str(self.mac)  # this request waits until a move is complete
        except OSError:
            return None
        found = list(_search(name, mac))
        if len(found) != 1:
            for place, requests in found:
                os.close(place)
                requests.close()
            return None
        place, requests = found[0]
        with contextlib.suppress(OSError, PortUnavailable), ns.inside(place):  # an agent that starts there may hold it
            requests.claim()
        self._netlink.close()
        self._netlink = requests
        return name, place

    def close(self) -> None:
        """Close the descriptors and remove the macvtap.  Idempotent."""
        super().close()
        self._netlink.delete()
        self._netlink.close()

    def _write_probe(self, kind: str) -> None:
        """Nothing: it would be sent to the network, so what the kernel says to the request alone counts."""

    def refused_now(self, features: int) -> int:
        """None: see ``_write_probe``."""
        del features
        return 0

    def set_carrier(self, up: bool) -> None:
        """It never has the carrier while the interface below has none."""
        self._up = up
        self.keep_carrier()

    def keep_carrier(self) -> None:
        """Set it again: the kernel gives it the carrier of the interface below whenever that one changes."""
        with contextlib.suppress(OSError):  # deleted, or moved into another namespace
            self._netlink.settle_carrier(self._up)


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> MacvtapPort:
    """Make a macvtap over the interface in ``name``, in namespace ``netns``.  ConfigError, PortUnavailable."""
    lower, own = split_name(name)
    if persist:
        raise ConfigError(f"port macvtap:{lower}: it cannot be kept when the agent ends; leave --persist out")
    with contextlib.ExitStack() as opened, ns.inside(netns):
        try:
            netlink = _Requests(own)
            opened.callback(netlink.close)
            netlink.claim()
            index = netlink.create(lower)
            opened.callback(netlink.delete)
            fds = tuple(_open_queues(own, index, queues, opened))
        except OSError as error:
            raise _unavailable(lower, own, netns, error) from error
        return MacvtapPort(own, opened.pop_all(), fds, netlink)


def split_name(place: str) -> tuple[str, str]:
    """The names of the lower interface and of the macvtap, of ``IF[?name=NAME]``; ConfigError."""
    lower, question, options = place.partition("?")
    if not lower:
        raise ConfigError(
            "port macvtap: expected macvtap:IF, where IF is the interface of the network, such as macvtap:eth0",
            code=ErrorCode.BAD_URL,
        )
    key, _, value = options.partition("=")
    if question and key != "name":
        raise ConfigError(f"port option {options!r} is unknown: expected name=NAME", code=ErrorCode.BAD_URL)
    own = value if question else DEFAULT_NAME
    if check_name(lower) == check_name(own):
        raise ConfigError(
            f"port macvtap:{place}: the macvtap needs another name than the interface below it: --name {DEFAULT_NAME}",
            code=ErrorCode.BAD_NAME,
        )
    return lower, own


class _Requests(Rtnetlink):
    """What is asked of the kernel about one macvtap, in the namespace in which this was made; OSError."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._index = 0
        self._claim: socket.socket | None = None

    def claim(self) -> None:
        """Hold the name in this namespace until ``close``; EADDRINUSE where another process does.

        The kernel lets any process open a macvtap that is there; an abstract socket belongs to one, and to the
        namespace.
        """
        self._claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._claim.bind(f"\0vnetcard/macvtap/{self._name}")

    def find(self, mac: str) -> bool:
        """Is a macvtap of this name, made by an agent and with this MAC address, in this namespace?"""
        for index, link in self.links().items():
            if link.name == self._name and _is_ours(link) and link.mac == mac:
                self._index = index
                return True
        return False

    def create(self, lower_name: str) -> int:
        """Its index.  One of this name that a killed agent has left is removed first."""
        there = {link.name: (index, link) for index, link in self.links().items()}
        if lower_name not in there:
            raise FileNotFoundError(errno.ENODEV, "no such interface")
        index, left = there.get(self._name, (0, None))
        if left is not None:
            if not _is_ours(left):
                raise OSError(errno.EEXIST, "the name is taken")
            self._delete(index)
        mode = attribute(IFLA_MACVLAN_MODE, struct.pack("=I", MACVLAN_MODE_BRIDGE))
        body = link_request(0)
        body += attribute(IFLA_IFNAME, self._name.encode() + b"\0")
        body += attribute(IFLA_LINK, struct.pack("=I", there[lower_name][0]))
        body += attribute(IFLA_GROUP, struct.pack("=I", OUR_GROUP))
        body += attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"macvtap") + attribute(IFLA_INFO_DATA, mode))
        self._ask(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body)
        self._index = socket.if_nametoindex(self._name)
        with contextlib.suppress(OSError):  # a kernel without IPv6; else the host itself would speak by this address
            quiet = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
            six = attribute(IFLA_AF_SPEC, attribute(socket.AF_INET6, quiet))
            self._ask(RTM_NEWLINK, NLM_F_ACK, link_request(self._index) + six)
        return self._index

    def settle_carrier(self, up: bool) -> None:
        """Let it have the carrier if ``up`` and the interface below has it: proto_down takes it away."""
        own = self.link(self._index)
        with contextlib.suppress(OSError):  # below is another namespace, about which this process may not ask
            up = up and self.link(own.lower, own.lower_netns).carrier
        if own.carrier is not up:
            self._ask(RTM_NEWLINK, NLM_F_ACK, link_request(self._index) + attribute(IFLA_PROTO_DOWN, bytes([not up])))

    def delete(self) -> None:
        """Remove it.  It may have gone by itself, or have been moved, and its index may be another interface's now."""
        with contextlib.suppress(OSError):
            if _is_ours(self.link(self._index)):
                self._delete(self._index)

    def close(self) -> None:
        """Close the sockets.  Idempotent."""
        super().close()
        if self._claim is not None:
            self._claim.close()

    def _delete(self, index: int) -> None:
        self._ask(RTM_DELLINK, NLM_F_ACK, link_request(index))


def _is_ours(link: LinkView) -> bool:
    """Has an agent made it?"""
    return (link.kind, link.group) == ("macvtap", OUR_GROUP)


def _search(name: str, mac: str) -> Iterator[tuple[int, _Requests]]:
    """A descriptor of each namespace that has such a macvtap, and requests there; both are the caller's to close."""
    for place in ns.listed():
        with contextlib.suppress(OSError, PortUnavailable), contextlib.ExitStack() as opened:  # it may not be entered
            with ns.inside(place):
                requests = _Requests(name)
            opened.callback(requests.close)
            if requests.find(mac):
                kept = os.dup(place)
                opened.pop_all()
                yield kept, requests


def _remove_left(name: str, mac: str) -> None:
    """Remove the macvtaps of this name and MAC address whose agents are gone, in all namespaces."""
    for place, requests in _search(name, mac):
        with contextlib.suppress(OSError, PortUnavailable):  # an agent that runs holds the name there
            with ns.inside(place):
                requests.claim()
            requests.delete()
        os.close(place)
        requests.close()


def _open_queues(name: str, index: int, count: int, opened: contextlib.ExitStack) -> Iterator[int]:
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if count > 1 else 0)
    for _ in range(count):
        fd = open_node(name, index)
        opened.callback(os.close, fd)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"", flags))
        yield fd


def _unavailable(lower: str, name: str, netns: str | None, error: OSError) -> PortUnavailable:
    place = f"port macvtap:{lower}" + (f" in namespace {netns}" if netns else "")
    code = ErrorCode.PORT_UNAVAILABLE
    if error.errno == errno.ENODEV:
        words, code = f"there is no interface {lower}; `ip link` lists those there are", ErrorCode.PORT_GONE
    elif error.errno == errno.EADDRINUSE:
        words, code = f"another agent holds {name}; choose another --name", ErrorCode.PORT_BUSY
    elif error.errno == errno.EBUSY:
        words = f"{lower} belongs to a bridge or the like already; join that bridge: --port tap --bridge NAME"
        code = ErrorCode.PORT_BUSY
    elif error.errno == errno.EEXIST:
        words, code = f"{name} is the name of another interface; choose another --name", ErrorCode.PORT_BUSY
    elif error.errno == errno.EINVAL:
        words = f"{lower} is no Ethernet interface over which the kernel makes a macvtap"
    elif error.errno == errno.EOPNOTSUPP:
        words, code = "the kernel has no macvtap; load it with `modprobe macvtap`", ErrorCode.PORT_DRIVER
    elif limit := limits.name_of(error):
        words, code = limit, ErrorCode.RESOURCE_LIMIT
    elif error.errno in (errno.EPERM, errno.EACCES):
        words, code = (
            "no permission to make a macvtap and to open its device; run as root; a service needs the lines that its "
            "file names, and the udev rule",
            ErrorCode.PORT_PERMISSION,
        )
    else:
        words = error.strerror or str(error)
    return PortUnavailable(f"{place}: {words}", code=code)
