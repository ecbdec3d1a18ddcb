"""``PortClient``: a program's end of a ``unix:`` or ``fd:`` port, one packet per call; docs/ports.md has examples."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import Closed, FrameTooLarge, PeerGone, PortUnavailable

PACKET_MAX: Final = 65_535 + 18
"""Bytes of the largest packet of any port: an IPv4 packet, or that with an Ethernet header and a VLAN tag."""
RETRY_S: Final = 0.02
"""Seconds between two attempts to connect."""
BUFFER_BYTES: Final = 4 << 20
"""Wanted size of the send buffer; the kernel limits it to net.core.wmem_max."""
NOT_LISTENING: Final = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN})
"""errno of connect(2) where an agent may still come, or has too many programs in its queue."""
GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNREFUSED})
"""errno of send(2) and recv(2) at a connection that the far end has closed."""


def prepared(connected: socket.socket) -> socket.socket:
    """``connected`` as both kinds of clients use it: it never blocks, and has room for many packets."""
    connected.setblocking(False)
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return connected


class PortClient:
    """A connected program; a context manager.  Iteration gives the received packets until the agent goes.

    A packet is what the port moves: an IP packet, or an Ethernet frame with ``?frames=ethernet``, without FCS.
    One thread may send while another one receives.
    """

    def __init__(self, connected: socket.socket) -> None:
        """Use and own ``connected``, a SOCK_SEQPACKET or SOCK_DGRAM socket: the far end of that of an ``fd:`` port."""
        self._socket = prepared(connected)
        self._room = bytearray(PACKET_MAX)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, timeout: float = 0.0) -> PortClient:
        """Connect to the agent of ``--port unix:PATH``, and wait for it for at most ``timeout`` seconds.

        Raises PortUnavailable: no agent listens there, no permission, or not such a socket.
        """
        deadline = time.monotonic() + timeout
        while True:
            far = message_socket()
            try:
                far.connect(os.fspath(path))
                return cls(far)
            except OSError as error:
                far.close()
                if error.errno not in NOT_LISTENING or time.monotonic() >= deadline:
                    raise unavailable(path, error) from error
            time.sleep(RETRY_S)

    def fileno(self) -> int:
        """The descriptor, for select(2) and the like; -1 once closed."""
        return self._socket.fileno()

    def send(self, packet: bytes | bytearray | memoryview, *, timeout: float | None = None) -> bool:
        """Send one packet of 1 byte to the link's MTU; False if the agent took none for ``timeout`` s (None: no limit).

        The agent counts a packet beyond the MTU as ``drop_too_big``.
        Raises FrameTooLarge (empty, or beyond any port's limit), PeerGone, Closed.
        """
        check_size(packet)
        return self._repeat(lambda: self._socket.send(packet), select.POLLOUT, timeout) is not None

    def recv(self, *, timeout: float | None = None) -> bytes | None:
        """The next packet; None if none came within ``timeout`` seconds (None: no limit).  Raises PeerGone, Closed."""
        length = self._repeat(lambda: self._socket.recv_into(self._room), select.POLLIN, timeout)
        if length == 0:
            raise peer_gone()
        return None if length is None else bytes(memoryview(self._room)[:length])

    def __iter__(self) -> Iterator[bytes]:
        """Received packets until the agent goes."""
        with contextlib.suppress(PeerGone):
            while True:
                packet = self.recv()
                if packet is not None:
                    yield packet

    def close(self) -> None:
        """Close the connection: the other side of the link loses its carrier.  Idempotent."""
        self._socket.close()

    def __enter__(self) -> PortClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()

    def _repeat(self, call: Callable[[], int], events: int, timeout: float | None) -> int | None:
        """Repeat the system call ``call`` until it succeeds; None after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return call()
            except BlockingIOError:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                poll = select.poll()
                poll.register(self._socket, events)
                poll.poll(None if left is None else left * 1000)
            except OSError as error:
                raise translated(error) from error


def message_socket() -> socket.socket:
    """A new socket of the type of ``unix:`` ports."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def check_size(packet: bytes | bytearray | memoryview) -> None:
    """Raise FrameTooLarge for what no port moves."""
    if not 0 < len(packet) <= PACKET_MAX:
        raise FrameTooLarge(f"{len(packet)} bytes: a packet has 1 to {PACKET_MAX}, and at most the link's MTU")


def peer_gone() -> PeerGone:
    """The error of a connection that the agent has closed."""
    return PeerGone("the agent closed the connection: it has stopped, or it already serves another program")


def translated(error: OSError) -> PeerGone | Closed | FrameTooLarge | OSError:
    """The package's exception for a failed send(2) or recv(2); ``error`` itself where there is none."""
    if error.errno in GONE:
        return peer_gone()
    if error.errno == errno.EBADF:
        return Closed("the port client was closed by this program")
    if error.errno == errno.EMSGSIZE:
        return FrameTooLarge("the packet is larger than the socket's send buffer: raise net.core.wmem_max")
    return error


def unavailable(path: str | os.PathLike[str], error: OSError) -> PortUnavailable:
    """The error of a failed connection to ``path``."""
    code = ErrorCode.PORT_UNAVAILABLE
    if error.errno in NOT_LISTENING:
        words = "no agent listens there: start one with --port unix:PATH"
    elif error.errno in (errno.EACCES, errno.EPERM):
        words, code = "no permission: the socket is for the agent's user only", ErrorCode.PORT_PERMISSION
    elif error.errno == errno.EPROTOTYPE:
        words = "the socket is not that of an agent: expected SOCK_SEQPACKET"
    else:
        words = f"cannot connect ({error.strerror or error})"
    return PortUnavailable(f"port unix:{os.fspath(path)}: {words}", code=code)
