"""``tun:NAME``: a TUN device, with virtio_net_hdr, opened without carrier, once for each of its queues.

A TAP device (``port/tap.py``) differs in its mode alone.
It is opened through python-pytun where that is installed, else by the same ioctl; what pytun lacks
(offloads, carrier, queues, an optional persistence) is done on its file descriptor.
Source of the constants: Linux include/uapi/linux/if_tun.h (USO since 6.2, not in older headers).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns
from vnetcard.port.offload_probe import PROBES, probe_packet
from vnetcard.port.rtnetlink import Rtnetlink
from vnetcard.port.steering import Steering, detach
from vnetcard.ring import layout as L
from vnetcard.terminal import limits

CLONE_DEVICE = "/dev/net/tun"

TUNSETIFF = 0x4004_54CA
TUNSETPERSIST = 0x4004_54CB
TUNSETOFFLOAD = 0x4004_54D0
TUNSETQUEUE = 0x4004_54D9
TUNSETCARRIER = 0x4004_54E2
TUNGETIFF = 0x8004_54D2
TUNGETDEVNETNS = 0x54E3
"""Since Linux 5.2; it takes CAP_NET_ADMIN in the namespace of the device."""

IFF_TUN = 0x0001
IFF_TAP = 0x0002
IFF_NO_CARRIER = 0x0040
IFF_MULTI_QUEUE = 0x0100
IFF_ATTACH_QUEUE = 0x0200
IFF_DETACH_QUEUE = 0x0400
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
FLAGS = IFF_NO_PI | IFF_VNET_HDR | IFF_NO_CARRIER

TUN_F = {"CSUM": 0x01, "TSO4": 0x02, "TSO6": 0x04, "USO4": 0x20, "USO6": 0x40}
"""The kernel accepts USO4 and USO6 only together, and any of the others only with CSUM."""

NO_VERDICT = (errno.EIO, errno.EAGAIN, errno.ENOBUFS, errno.EBADFD)
"""Of a write: the interface is down, out of memory for the moment, or deleted."""

NAME_MAX = 15
"""IFNAMSIZ - 1, Linux include/uapi/linux/if.h"""
IFREQ_BYTES = 40
"""Size of struct ifreq."""


def check_name(name: str) -> str:
    """``name`` if the kernel accepts it as the name of an interface; ConfigError otherwise."""
    bad = any(c.isspace() or not c.isprintable() or c in "/:%" for c in name) or name in (".", "..")
    if bad or not 1 <= len(name.encode()) <= NAME_MAX:
        raise ConfigError(
            f"invalid interface name {name!r}: 1 to {NAME_MAX} bytes, without space, '/', ':' and '%'",
            code=ErrorCode.BAD_NAME,
        )
    return name


class TunPort:
    """A TUN device, opened once per queue; see ``vnetcard.port.Port`` for the contract."""

    kind = "tun"
    mode = IFF_TUN
    frames = L.FRAMES["IP"]

    def __init__(self, name: str, opened: contextlib.ExitStack, fds: tuple[int, ...]) -> None:
        self._name = name
        self.fds = fds
        self.vnet = True
        self._opened = opened
        self._attached = len(fds)
        self._steering: Steering | None = None
        self.unsteered = "" if len(fds) == 1 else "the kernel chooses the queue of each flow"

    @property
    def name(self) -> str:
        """Its name of now, which a rename changes; the last one of an interface that was deleted."""
        with contextlib.suppress(OSError):
            request = fcntl.ioctl(self.fds[0], TUNGETIFF, bytes(IFREQ_BYTES))
            self._name = request[: NAME_MAX + 1].partition(b"\0")[0].decode(errors="surrogateescape")
        return self._name

    def locate(self) -> tuple[str, int] | None:
        """Its name and a new descriptor of its namespace; None without permission, or when it was deleted."""
        try:
            return self.name, fcntl.ioctl(self.fds[0], TUNGETDEVNETNS)
        except OSError:
            return None

    def probe_offload(self) -> dict[str, str]:
        """Request each kind from the kernel, then write one packet of it, which the IP stack discards."""
        verdicts: dict[str, str] = {}
        for kind, needs in PROBES.items():
            mask = sum(TUN_F[name] for name in needs)
            try:
                fcntl.ioctl(self.fds[0], TUNSETOFFLOAD, mask)
                self._write_probe(kind)
                verdicts[kind] = ""
            except OSError as error:
                verdicts[kind] = f"the kernel refuses it ({errno.errorcode.get(error.errno or 0, error.strerror)})"
        self.set_offload(0)
        return verdicts

    def _write_probe(self, kind: str) -> None:
        os.write(self.fds[0], self._probe(kind))

    def refused_now(self, features: int) -> int:
        """Of ``features``, those with which the kernel refuses a good packet; also while pumps use the port."""
        refused = 0
        for kind in PROBES:
            if features & L.FEATURES[kind]:
                try:
                    os.write(self.fds[0], self._probe(kind))
                except OSError as error:
                    if error.errno not in NO_VERDICT:
                        refused |= L.FEATURES[kind]
        return refused

    def _probe(self, kind: str) -> bytes:
        return probe_packet(kind, ethernet=self.frames == L.FRAMES["ETHERNET"])

    def set_offload(self, features: int) -> None:
        wanted = {kind for kind in TUN_F if features & L.FEATURES[kind]}
        if not {"USO4", "USO6"} <= wanted:
            wanted -= {"USO4", "USO6"}
        try:
            fcntl.ioctl(self.fds[0], TUNSETOFFLOAD, sum(TUN_F[kind] for kind in wanted))
        except OSError as error:
            raise PortUnavailable(
                f"port {self.kind}:{self.name}: cannot set its offloads ({error.strerror})"
            ) from error

    def steer(self) -> None:
        """Keep the first of several queues for flows that send little (``port/steering.py``).

        Where the kernel refuses it, ``unsteered`` says why, and the kernel sends a flow's packets to the queue from
        which its other direction came, if that is attached.
        """
        if len(self.fds) == 1:
            return
        header = L.ETHERNET_HEADER if self.frames == L.FRAMES["ETHERNET"] else 0
        try:
            self._steering = self._opened.enter_context(contextlib.closing(Steering(self.fds[0], header=header)))
        except OSError as error:
            self.unsteered += f"; it refuses the program of --steering sparse ({error.strerror})"
            return
        self._steering.use(self._attached)
        self.unsteered = ""

    def use_queues(self, count: int) -> None:
        """As in ``Port``."""
        try:
            while self._attached > count:  # from the end: the kernel moves its last queue into a gap
                self._set_queue(self.fds[self._attached - 1], IFF_DETACH_QUEUE)
                self._attached -= 1
            while self._attached < min(count, len(self.fds)):
                self._set_queue(self.fds[self._attached], IFF_ATTACH_QUEUE)
                self._attached += 1
            if self._steering is not None:
                self._steering.use(self._attached)
        except OSError as error:
            raise PortUnavailable(
                f"port {self.kind}:{self.name}: cannot use {count} queues ({error.strerror})"
            ) from error

    def _set_queue(self, fd: int, flags: int) -> None:
        fcntl.ioctl(fd, TUNSETQUEUE, struct.pack("16sH22x", b"", flags))

    def set_carrier(self, up: bool) -> None:
        # EINVAL: the interface is down; its carrier is set again once the link comes up
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fds[0], TUNSETCARRIER, struct.pack("i", int(up)))

    def close(self) -> None:
        self._opened.close()


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> TunPort:
    """Create TUN ``name`` in namespace ``netns``, or take over a persistent one; PortUnavailable names the cause."""
    return open_device(TunPort, name, netns=netns, persist=persist, queues=queues)


Device = TypeVar("Device", bound=TunPort)


def open_device(of: type[Device], name: str, *, netns: str | None, persist: bool, queues: int) -> Device:
    """As ``open_port``, for a TUN or a TAP."""
    check_name(name)
    with contextlib.ExitStack() as opened:
        with ns.inside(netns):
            try:
                fds = tuple(_open_queues(of.mode, name, queues, opened))
            except OSError as error:
                raise _unavailable(of.kind, name, netns, queues, error) from error
        try:
            for fd in fds:
                os.set_blocking(fd, False)
                os.set_inheritable(fd, False)
            with contextlib.suppress(OSError):  # an old kernel; an interface without an earlier process's program
                detach(fds[0])
            if persist:
                fcntl.ioctl(fds[0], TUNSETPERSIST, 1)
        except OSError as error:
            raise PortUnavailable(f"port {of.kind}:{name}: cannot set it up ({error.strerror})") from error
        return of(name, opened.pop_all(), fds)


def _open_queues(mode: int, name: str, count: int, opened: contextlib.ExitStack) -> Iterator[int]:
    """A descriptor per queue, in their order, closed with ``opened``.  OSError; EBUSY where another process holds any.

    The kernel lets one process open a TUN with one queue, but any number of them a TUN with several.
    """
    held = _queues_held(name)
    if held:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    several = count > 1 or held is not None
    for _ in range(count):
        fd, close = _open(name, mode | FLAGS | (IFF_MULTI_QUEUE if several else 0))
        opened.callback(close)
        yield fd
    if several and _queues_held(name) != count:  # another process opened it at the same instant
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _queues_held(name: str) -> int | None:
    """How many queues of the TUN are open; None where it does not exist or has a single queue."""
    try:
        index = socket.if_nametoindex(name)
        with contextlib.closing(Rtnetlink()) as netlink:
            return netlink.queues_held(index)
    except OSError:
        return None


def _open(name: str, flags: int) -> tuple[int, Callable[[], None]]:
    try:
        import pytun
    except ImportError:
        fd = os.open(CLONE_DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        except OSError:
            os.close(fd)
            raise
        return fd, lambda: os.close(fd)
    try:
        device = pytun.TunTapDevice(name=name, flags=flags)
    except pytun.Error as error:  # its own kind of exception, with (errno, text)
        raise OSError(*error.args) from error
    return device.fileno(), device.close


def _unavailable(kind: str, name: str, netns: str | None, queues: int, error: OSError) -> PortUnavailable:
    place = f"port {kind}:{name}" + (f" in namespace {netns}" if netns else "")
    if error.errno == errno.EBUSY:
        words, code = (
            f"the name is taken by a {kind.upper()} that another process holds; choose another --name",
            ErrorCode.PORT_BUSY,
        )
    elif error.errno == errno.EINVAL:
        other = "of another kind" if queues == 1 else f"of another kind, or by a {kind.upper()} with a single queue"
        words, code = f"the name is taken by an interface {other}; choose another --name", ErrorCode.PORT_BUSY
    elif limit := limits.name_of(error):
        words, code = limit, ErrorCode.RESOURCE_LIMIT
    elif not Path(CLONE_DEVICE).exists():
        words, code = f"no {CLONE_DEVICE}; load the kernel's module with `modprobe tun`", ErrorCode.PORT_DRIVER
    elif error.errno in (errno.EPERM, errno.EACCES):
        several = "multi_queue " if queues > 1 else ""
        words = f"no permission for {CLONE_DEVICE}; run as root, or let root create a {kind.upper()} for this user: "
        words += f"`ip tuntap add {name} mode {kind} vnet_hdr {several}user $USER`"
        code = ErrorCode.PORT_PERMISSION
    else:
        words, code = error.strerror or str(error), ErrorCode.PORT_UNAVAILABLE
    return PortUnavailable(f"{place}: {words}", code=code)
