"""The control channel of memif 2.0: messages of 128 bytes over a SOCK_SEQPACKET socket, with descriptors beside them.

The server says HELLO, then the client asks for one thing after the other, and waits for the ACK of each: INIT,
ADD_REGION with its memory, ADD_RING with its eventfd; CONNECT is answered by CONNECTED.  Either side may DISCONNECT.
Sources: the documents of VPP and DPDK (memif poll mode driver), and the declarations of memif.h.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from vnetcard.port.ring_peer import ANSWER_LIMIT, Left, Refused, await_readable, close_all, text_of

MESSAGE_BYTES: Final = 128
VERSION: Final = 0x0200
MODE_ETHERNET: Final = 0
RING_S2M: Final = 1
"""Flag of ADD_RING: from the client (formerly slave) to the server (master)."""
REGIONS_MAX, LOG2_MAX = 16, 14
"""Most regions of a client, and the largest ring, as the binary logarithm of its slots."""
_FDS_MAX: Final = 4


class Kind(IntEnum):
    """The first word of a message."""

    ACK = 1
    HELLO = 2
    INIT = 3
    ADD_REGION = 4
    ADD_RING = 5
    CONNECT = 6
    CONNECTED = 7
    DISCONNECT = 8


@dataclass(frozen=True, slots=True)
class Hello:
    """The server's limits; those of regions and rings are the largest numbers, one less than how many."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("=32sHHHHHB")

    name: bytes
    min_version: int
    max_version: int
    max_region: int
    max_m2s_ring: int
    max_s2m_ring: int
    max_log2: int


@dataclass(frozen=True, slots=True)
class Init:
    """Which interface of the server the client wants."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("=HIB24s32s")

    version: int
    number: int
    mode: int
    secret: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class AddRegion:
    """``size`` bytes of memory, whose descriptor is beside the message."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("=HQ")

    index: int
    size: int


@dataclass(frozen=True, slots=True)
class AddRing:
    """A ring at ``offset`` of a region; its eventfd is beside the message."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("=HHHIBH")

    flags: int
    index: int
    region: int
    offset: int
    log2: int
    private_bytes: int


_DISCONNECT: Final = struct.Struct("=I96s")


class Channel:
    """The connected socket of one peer, for a thread that ``stop``, a descriptor that becomes readable, ends."""

    def __init__(self, peer: socket.socket, stop: int) -> None:
        self._peer, self._stop = peer, stop
        peer.setblocking(False)

    def send(self, kind: Kind, body: bytes = b"", fd: int | None = None) -> None:
        """Refused: the peer takes no message."""
        message = (struct.pack("=H", kind) + body).ljust(MESSAGE_BYTES, b"\0")
        try:
            socket.send_fds(self._peer, [message], [] if fd is None else [fd])
        except OSError as error:
            raise Refused(f"the peer takes no message ({error.strerror})") from error

    def disconnect(self, reason: str) -> None:
        """Tell the peer why the connection ends, if it takes the message."""
        with contextlib.suppress(Refused):
            self.send(Kind.DISCONNECT, _DISCONNECT.pack(0, reason.encode()[:95]))

    def receive(self, limit: float | None = ANSWER_LIMIT) -> tuple[Kind, bytes, list[int]]:
        """The next message, and its descriptors, which are the caller's.

        Left; Refused: the peer sent something else, or nothing for ``limit`` seconds.  Stopped.
        """
        await_readable(self._peer, self._stop, limit)
        try:
            message, fds, flags, _ = socket.recv_fds(self._peer, MESSAGE_BYTES + 1, _FDS_MAX, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise Left(f"the peer has gone ({error.strerror})") from error
        try:
            return (*_parsed(message, flags), fds)
        except Refused:
            close_all(fds)
            raise

    def expect(self, kind: Kind) -> bytes:
        """The body of the next message, which has no descriptors.  Raises as ``receive``."""
        got, body, fds = self.receive()
        close_all(fds)
        if got is not kind:
            raise Refused(f"the peer sent {got.name} instead of {kind.name}")
        return body

    def ask(self, kind: Kind, body: bytes, fd: int | None = None) -> None:
        """Send, and wait for the ACK."""
        self.send(kind, body, fd)
        self.expect(Kind.ACK)


def _parsed(message: bytes, flags: int) -> tuple[Kind, bytes]:
    if not message:
        raise Left("the peer has gone")
    if len(message) != MESSAGE_BYTES or flags & socket.MSG_CTRUNC:
        raise Refused(f"the peer sent a message of {len(message)} bytes: it does not speak memif")
    (number,) = struct.unpack_from("=H", message)
    if number not in list(Kind):
        raise Refused(f"the peer sent a message of the unknown kind {number}")
    kind, body = Kind(number), message[2:]
    if kind is Kind.DISCONNECT:
        raise Left(f"the peer has disconnected: {text_of(_DISCONNECT.unpack_from(body)[1]) or 'no reason given'}")
    return kind, body
