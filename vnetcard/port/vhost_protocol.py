"""The control channel of vhost-user: messages of a front-end (QEMU, DPDK's virtio_user) and the answers of a back-end.

Each message has a header of three words (request, flags, size) and ``size`` bytes; descriptors are beside it.  The
front-end speaks first, and again whenever something changes.
Sources: "Vhost-user Protocol" in QEMU's documentation; the numbers of features are those of VIRTIO 1.2, 5.1.3 and 6.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from vnetcard.port.ring_peer import ANSWER_LIMIT, Left, Refused, await_readable, close_all

HEADER: Final = struct.Struct("<III")
"""Request, flags, bytes that follow."""
U64: Final = struct.Struct("<Q")
VERSION, VERSION_MASK, IS_REPLY, NEED_REPLY = 1, 3, 4, 8
"""Of the flags."""
BODY_MAX: Final = 4096
REGIONS_MAX: Final = 8
"""Of one memory table, without the protocol feature CONFIGURE_MEM_SLOTS."""
MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1 = 15, 28, 29, 30, 32
"""Bits of the features that this port has; PROTOCOL_FEATURES, not of VIRTIO, says that there are those as well."""
REPLY_ACK: Final = 3
"""Bit of the protocol features: the front-end may ask for an answer to every message."""
FEATURES: Final = sum(1 << bit for bit in (MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1))
NO_FD: Final = 1 << 8
"""In the word of a kick, call or err: there is no descriptor; the lower eight bits are the number of the queue."""


class Request(IntEnum):
    """The first word of a message."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    SET_VRING_ENABLE = 18


@dataclass(frozen=True, slots=True)
class RegionInfo:
    """``size`` bytes of a file from ``offset`` on, and where the driver and the front-end's process have them."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<QQQQ")

    guest: int
    size: int
    user: int
    offset: int


@dataclass(frozen=True, slots=True)
class VringState:
    """A number of one queue: its size, its position, or whether it is enabled."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<II")

    index: int
    value: int


@dataclass(frozen=True, slots=True)
class VringAddr:
    """Where the front-end's process has the parts of a queue."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<IIQQQQ")

    index: int
    flags: int
    desc: int
    used: int
    avail: int
    log: int


@dataclass(frozen=True, slots=True)
class Message:
    """``number``: a Request, or one that this port does not know; the descriptors are the reader's."""

    number: int
    flags: int
    body: bytes
    fds: list[int]

    @property
    def name(self) -> str:
        """For a line of the log."""
        return Request(self.number).name if self.number in list(Request) else f"the unknown request {self.number}"

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        """The body; Refused unless it has the size of ``form``."""
        if len(self.body) != form.size:
            raise Refused(f"the front-end sent {self.name} with {len(self.body)} bytes instead of {form.size}")
        return form.unpack(self.body)


class Channel:
    """The connected socket of one front-end, for a thread that ``stop``, a descriptor that becomes readable, ends."""

    def __init__(self, peer: socket.socket, stop: int) -> None:
        self._peer, self._stop = peer, stop
        peer.setblocking(False)

    def receive(self) -> Message:
        """The next message, of which a part is there.

        Left: the front-end has closed the connection.  Refused: what it sent is no message, or it is late with the
        rest.  Stopped.
        """
        fds: list[int] = []
        try:
            number, flags, size = HEADER.unpack(self._exactly(HEADER.size, fds))
            if flags & VERSION_MASK != VERSION or flags & IS_REPLY or size > BODY_MAX:
                raise Refused(
                    f"the front-end sent request {number} with flags {flags:#x} and {size} bytes: "
                    "it does not speak vhost-user"
                )
            return Message(number, flags, self._exactly(size, fds), fds)
        except BaseException:
            close_all(fds)
            raise

    def answer(self, message: Message, body: bytes) -> None:
        """Refused: the front-end takes no message."""
        try:
            self._peer.sendall(HEADER.pack(message.number, VERSION | IS_REPLY, len(body)) + body)
        except OSError as error:
            raise Refused(f"the front-end takes no message ({error.strerror})") from error

    def _exactly(self, size: int, fds: list[int]) -> bytes:
        data = b""
        while len(data) < size:
            await_readable(self._peer, self._stop, ANSWER_LIMIT)
            try:
                part, more, flags, _ = socket.recv_fds(
                    self._peer, size - len(data), REGIONS_MAX, socket.MSG_CMSG_CLOEXEC
                )
            except OSError as error:
                raise Left(f"the front-end has gone ({error.strerror})") from error
            fds += more
            if not part:
                raise Left("the front-end has gone")
            if flags & socket.MSG_CTRUNC or len(fds) > REGIONS_MAX:
                raise Refused(f"the front-end sent more than {REGIONS_MAX} descriptors with one message")
            data += part
        return data
