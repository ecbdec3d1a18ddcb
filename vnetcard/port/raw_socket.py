"""Sends packets out of one interface as an application does, whatever its name becomes meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final

from vnetcard.port import netns as ns

ETHERTYPES: Final = {4: 0x0800, 6: 0x86DD}
"""By the version of the IP packet."""
ETHERNET, ETH_P_ALL = 0, 3
FULL: Final = (errno.EAGAIN, errno.ENOBUFS)
PAUSE_S: Final = 0.0005
"""Seconds until the next try while the interface's queue is full."""
_SOCKADDR_LL: Final = struct.Struct("=HHiHBB8s")
_SO_ATTACH_FILTER: Final = 26
_RET_0: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)
"""A socket filter that accepts nothing (linux/filter.h: BPF_RET | BPF_K)."""

_libc = ctypes.CDLL(None, use_errno=True)


class InterfaceLeft(Exception):
    """Raised when the interface is down, or no longer in the namespace: it was moved to another one, or deleted."""


class RawSocket:
    """Raw sockets, one per IP version, or one for Ethernet frames, bound to the interface ``index`` in ``netns``.

    The kernel binds them to the device, not to its name: a rename changes nothing, and nothing is ever sent by another
    interface that takes the name or the index later.
    """

    def __init__(self, netns: str | None, index: int, *, netns_id: str = "", ethernet: bool = False) -> None:
        """``netns_id``: the identity that the namespace must have.

        Raises PermissionError, InterfaceLeft; ConfigError and PortUnavailable as ``vnetcard.port.netns.inside``.
        """
        with contextlib.ExitStack() as opened, ns.inside(netns):
            if netns_id and ns.identity(None) != netns_id:
                raise InterfaceLeft(f"another namespace is called {netns!r} now")
            kinds = {ETHERNET: ETH_P_ALL} if ethernet else ETHERTYPES
            self._sockets = {
                version: opened.enter_context(_bound(index, kind, raw=ethernet)) for version, kind in kinds.items()
            }
            self._opened = opened.pop_all()

    def send(self, packet: bytes) -> bool:
        """Send a packet; waits while the queue is full.  False: refused, such as one larger than the MTU.

        Raises InterfaceLeft.
        """
        out = self._sockets.get(ETHERNET) or self._sockets.get(packet[0] >> 4)
        if out is None:
            return False
        while True:
            try:
                out.send(packet)
            except OSError as error:
                if error.errno in (errno.ENXIO, errno.ENODEV, errno.ENETDOWN):
                    raise InterfaceLeft(error.strerror) from error
                if error.errno not in FULL:
                    return False
                time.sleep(PAUSE_S)
                continue
            return True

    def close(self) -> None:
        """Close the sockets.  Idempotent."""
        self._opened.close()


@contextlib.contextmanager
def _bound(index: int, kind: int, *, raw: bool) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, 0) as bound:
        program = ctypes.create_string_buffer(_RET_0, len(_RET_0))
        # Bound, it would also receive, and queue what nothing reads.
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
        address = _SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(kind), index, 0, 0, 0, bytes(8))
        if _libc.bind(bound.fileno(), address, len(address)):
            number = ctypes.get_errno()
            if number in (errno.ENODEV, errno.ENXIO):
                raise InterfaceLeft(os.strerror(number))
            raise OSError(number, os.strerror(number))
        yield bound
