"""``packet:IF[?qdisc=on|off]``: an Ethernet interface that exists, by packet sockets (packet(7)), one for each queue.

Nothing of the interface is changed: it is promiscuous while a socket is open.  An interface that was deleted is
served again once there is one of its name.  With ``frames=ip`` the port is that of packet_ip.py.
Source of the constants: Linux include/uapi/linux/if_packet.h, sockios.h, if.h, if_arp.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import netns as ns
from vnetcard.port.packet_options import PacketOptions
from vnetcard.port.tun import IFREQ_BYTES, NAME_MAX
from vnetcard.ring import layout as L

ETH_P_ALL: Final = 3
SOL_PACKET: Final = 263
PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS, PACKET_AUXDATA, PACKET_VNET_HDR = 1, 6, 8, 15
PACKET_FANOUT, PACKET_QDISC_BYPASS, PACKET_FANOUT_DATA, PACKET_IGNORE_OUTGOING = 18, 20, 22, 23
PACKET_MR_PROMISC, PACKET_MR_ALLMULTI = 1, 2
PACKET_FANOUT_CBPF, PACKET_FANOUT_FLAG_UNIQUEID = 6, 0x2000
_MREQ: Final = struct.Struct("=iHH8s")

SIOCGIFFLAGS, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8913, 0x8921, 0x8927, 0x8933
IFF_UP, IFF_RUNNING = 0x01, 0x40
ARPHRD_ETHER: Final = 1

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
BUFFER_BYTES: Final = 4 << 20
"""Wanted size of a socket's buffers; without CAP_NET_ADMIN the kernel limits it to net.core.rmem_max, wmem_max."""

_BPF: Final = struct.Struct("=HBBI")
_LOAD_HASH = _BPF.pack(0x20, 0, 0, 0xFFFF_F000 + 32)  # A = SKF_AD_RXHASH, the hash of the flow
_MODULO, _RETURN_A, _RETURN_0 = 0x94, _BPF.pack(0x16, 0, 0, 0), _BPF.pack(0x06, 0, 0, 0)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27

USO_SINCE: Final = (6, 2)
"""The first Linux that takes UDP super-packets by a virtio_net_hdr."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What the sockets receive: ``membership`` is PACKET_MR_*, ``program`` a filter (bpf(4)); b"": everything."""

    membership: int
    program: bytes = b""


EVERYTHING: Final = Reception(PACKET_MR_PROMISC)


class PacketPort:
    """Packet sockets bound to one interface; see ``vnetcard.port.Port`` for the contract.

    ``present``: the interface is there, up and has carrier.  Asking also binds the sockets again where the interface
    was deleted and there is another one of its name.
    """

    vnet = True
    frames = L.FRAMES["ETHERNET"]
    packet_socket = True
    reception = EVERYTHING

    def __init__(self, options: PacketOptions, *, netns: str | None, queues: int) -> None:
        """Open the sockets in ``netns``.  OSError; PortUnavailable where it is no Ethernet interface."""
        name, self._bypass = options.interface, options.bypass
        self._asked, self._netns = name, netns
        self._name = name
        self._lost = False
        self._last_refusal = ""
        self._drops = 0
        self._in_use = queues
        self._news: list[str] = []
        self._lock = threading.Lock()
        with ns.inside(netns):
            self._sockets = self._open_sockets(queues)
        self.fds = tuple(one.fileno() for one in self._sockets)

    @property
    def name(self) -> str:
        """Its name of now, which a rename changes; the last one of an interface that was deleted."""
        return self._name

    @property
    def mtu(self) -> int:
        """The interface's MTU in bytes; OSError when it was deleted."""
        (mtu,) = struct.unpack_from("=i", self._ask(SIOCGIFMTU), NAME_MAX + 1)
        return int(mtu)

    @property
    def present(self) -> bool:
        with self._lock:
            return bool(self._sockets) and (self._bound() or self._bind_again()) and self._running()

    def take_news(self) -> list[str]:
        """What has happened to the interface since the last call: lines for the log."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def drops(self) -> int:
        """Frames that the kernel dropped since the port was opened, because a socket's buffer was full."""
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    self._drops += struct.unpack("=II", one.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            return self._drops

    def probe_offload(self) -> dict[str, str]:
        """What the kernel takes by its version: a probe would leave by the interface."""
        found = re.match(r"(\d+)\.(\d+)", os.uname().release)
        old = found is not None and (int(found[1]), int(found[2])) < USO_SINCE
        words = f"packet sockets take it since Linux {'.'.join(map(str, USO_SINCE))}" if old else ""
        return {"CSUM": "", "TSO4": "", "TSO6": "", "USO4": words, "USO6": words}

    def set_offload(self, features: int) -> None:
        """No effect: the interface hands over what it has, and the pump finishes what the peer does not take."""

    def use_queues(self, count: int) -> None:
        """The kernel chooses a socket by the hash of the flow."""
        self._in_use = min(count, len(self._sockets))
        if len(self._sockets) > 1:
            _choose_among(self._sockets[0], self._in_use)

    def set_carrier(self, up: bool) -> None:
        """No effect: the carrier is that of the interface, which is not changed."""

    def close(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            one.close()

    # --- with the lock held ----------------------------------------------------------------------------

    def _bound(self) -> bool:
        name = self._sockets[0].getsockname()[0]  # of the index to which it is bound; '' once that was deleted
        if name and name != self._name:
            self._news.append(f"interface {self._name} is named {name} now")
            self._name = name
        elif not name and not self._lost:
            self._lost = True
            self._news.append(
                f"interface {self._name} was deleted, or moved into another namespace; "
                f"waiting for an interface {self._asked}"
            )
        return bool(name)

    def _bind_again(self) -> bool:
        try:
            self._ask(SIOCGIFINDEX, self._asked)
        except OSError:
            return False
        try:
            if len(self._sockets) == 1:  # this takes no capability
                _bind(self._sockets[0], self._asked, self.reception)
            else:  # the kernel binds no socket of a group again
                with ns.inside(self._netns):
                    fresh = self._open_sockets(len(self._sockets))
                for old, new in zip(self._sockets, fresh, strict=True):
                    with new:
                        os.dup2(new.fileno(), old.fileno(), inheritable=False)
                _choose_among(self._sockets[0], self._in_use)
            self._name = self._asked
            self._bound_again()
        except (OSError, PortUnavailable, ConfigError) as error:
            words = f"interface {self._asked} is there again, and cannot be used: {error}; restart this agent"
            if self._last_refusal != words:
                self._news.append(words)
                self._last_refusal = words
            return False
        self._lost, self._last_refusal = False, ""
        self._news.append(f"interface {self._name} is there again")
        return True

    def _open_sockets(self, queues: int) -> list[socket.socket]:
        with contextlib.ExitStack() as opened:
            found = [opened.enter_context(_open_socket(bypass=self._bypass)) for _ in range(queues)]
            if queues == 1:
                attach_filter(found[0], self.reception.program)
                _bind(found[0], self._asked, self.reception)
            else:
                _join(found, self._asked, self.reception)
            opened.pop_all()
            return found

    def _running(self) -> bool:
        try:
            (flags,) = struct.unpack_from("=H", self._ask(SIOCGIFFLAGS), NAME_MAX + 1)
        except OSError:
            return False
        return bool(flags & IFF_UP and flags & IFF_RUNNING)

    def _bound_again(self) -> None:
        """The sockets are bound to another interface."""

    def _ask(self, request: int, name: str = "") -> bytes:
        return _ask(self._sockets[0], request, name or self._name)


def _ask(one: socket.socket, request: int, name: str) -> bytes:
    """An ioctl about interface ``name`` of the socket's namespace: struct ifreq."""
    return fcntl.ioctl(one, request, os.fsencode(name).ljust(IFREQ_BYTES, b"\0"))


def attach_filter(one: socket.socket, program: bytes) -> None:
    """Let ``one`` receive only what ``program`` accepts; b"": everything.  Replaces an earlier filter."""
    if not program:
        with contextlib.suppress(FileNotFoundError):  # there is none
            one.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        return
    code = ctypes.create_string_buffer(program, len(program))
    given = struct.pack("HP", len(program) // _BPF.size, ctypes.addressof(code))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, given)


def _join(sockets: list[socket.socket], name: str, reception: Reception) -> None:
    """Bind ``sockets`` as one group, each frame for one of them; none receives a frame before they are."""
    group, kind = 0, PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_UNIQUEID
    for one in sockets:
        attach_filter(one, _RETURN_0)
        _bind(one, name, reception)
        try:
            one.setsockopt(SOL_PACKET, PACKET_FANOUT, struct.pack("=I", group | kind << 16))
        except OSError as error:
            words = f"port packet:{name}: cannot serve {len(sockets)} queues ({error.strerror}); give --queues 1"
            raise PortUnavailable(words, code=ErrorCode.PORT_UNAVAILABLE) from error
        group = one.getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF  # 0 for the first one since the machine's start
        kind = PACKET_FANOUT_CBPF
    _choose_among(sockets[0], len(sockets))
    for one in sockets:
        attach_filter(one, reception.program)


def _open_socket(*, bypass: bool) -> socket.socket:
    """A socket that receives nothing until it is bound."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        one.setblocking(False)
        for option, value in (
            (PACKET_VNET_HDR, 1),
            (PACKET_AUXDATA, 1),
            (PACKET_IGNORE_OUTGOING, 1),
            (PACKET_QDISC_BYPASS, int(bypass)),
        ):
            one.setsockopt(SOL_PACKET, option, value)
        for forced, limited in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
            try:
                one.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
            except PermissionError:
                one.setsockopt(socket.SOL_SOCKET, limited, BUFFER_BYTES)
    except OSError:
        one.close()
        raise
    return one


def _bind(one: socket.socket, name: str, reception: Reception) -> None:
    """OSError (ENODEV: no such interface), PortUnavailable."""
    (kind,) = struct.unpack_from("=H", _ask(one, SIOCGIFHWADDR, name), NAME_MAX + 1)
    if kind != ARPHRD_ETHER:
        raise PortUnavailable(
            f"port packet:{name}: not an Ethernet interface (type {kind}): it has no frames to move",
            code=ErrorCode.PORT_UNAVAILABLE,
        )
    (index,) = struct.unpack_from("=i", _ask(one, SIOCGIFINDEX, name), NAME_MAX + 1)
    one.bind((name, ETH_P_ALL))
    one.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, _MREQ.pack(index, reception.membership, 0, bytes(8)))


def _choose_among(one: socket.socket, count: int) -> None:
    """Let the kernel choose among the first ``count`` sockets of the group of ``one``."""
    program = _LOAD_HASH + _BPF.pack(_MODULO, 0, 0, count) + _RETURN_A
    code = ctypes.create_string_buffer(program, len(program))
    one.setsockopt(SOL_PACKET, PACKET_FANOUT_DATA, struct.pack("HP", 3, ctypes.addressof(code)))
