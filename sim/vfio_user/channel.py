"""A connection of a client as a stream of messages with their descriptors: a UNIX socket, read without blocking."""

from __future__ import annotations

import array
import errno
import os
import socket
from dataclasses import dataclass, field
from typing import Final

from vnetcard.sim.vfio_user import protocol as P

SEND_LIMIT: Final = 5.0
"""Seconds for a client to take a reply, which fits into any socket's buffer."""


@dataclass(slots=True)
class Message:
    """A request, and the descriptors that came with it."""

    header: P.Header
    payload: bytes
    fds: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close the descriptors that were not taken."""
        while self.fds:
            os.close(self.fds.pop())


class Channel:
    """The connection; it never reads beyond a message, so descriptors belong to the message they came with."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._data = bytearray()
        self._fds: list[int] = []
        self._header: P.Header | None = None

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def receive(self) -> Message | None:
        """The next message if all of it has arrived; raises EOFError at the end, Refused for no message at all."""
        while True:
            missing = (self._header.size if self._header else P.HEADER.size) - len(self._data)
            if missing and not self._fill(missing):
                return None
            if self._header is None and len(self._data) == P.HEADER.size:
                self._header = P.Header.parse(bytes(self._data))
            if self._header is not None and len(self._data) == self._header.size:
                message = Message(self._header, bytes(self._data[P.HEADER.size :]), self._fds)
                self._header, self._fds = None, []
                self._data.clear()
                return message

    def _fill(self, missing: int) -> bool:
        """Read up to ``missing`` bytes; False: there is nothing to read yet."""
        room = socket.CMSG_SPACE(P.FDS_MAX * array.array("i").itemsize)
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(missing, room, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return False
        except ConnectionError as error:
            raise EOFError from error
        for level, kind, packed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(packed) // array.array("i").itemsize * array.array("i").itemsize
                self._fds += array.array("i", packed[:whole])
        if flags & socket.MSG_CTRUNC or len(self._fds) > P.FDS_MAX:
            raise P.Refused(errno.EINVAL, "too many descriptors", final=True)
        if not data:
            raise EOFError
        self._data += data
        return True

    def send(self, reply: bytes) -> None:
        """Send a reply; raises EOFError when the client does not take it."""
        self._socket.settimeout(SEND_LIMIT)
        try:
            self._socket.sendall(reply)
        except OSError as error:
            raise EOFError from error
        finally:
            self._socket.setblocking(False)

    def close(self) -> None:
        """Close the connection and every descriptor that came with half a message."""
        while self._fds:
            os.close(self._fds.pop())
        self._socket.close()
