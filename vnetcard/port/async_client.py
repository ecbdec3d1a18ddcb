"""``AsyncPortClient``: ``PortClient`` for programs with an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from types import TracebackType

from vnetcard.errors import PeerGone
from vnetcard.port.client import (
    NOT_LISTENING,
    PACKET_MAX,
    RETRY_S,
    check_size,
    message_socket,
    peer_gone,
    prepared,
    translated,
    unavailable,
)


class AsyncPortClient:
    """A connected program; an asynchronous context manager, and an iterator over packets until the agent goes.

    ``asyncio.timeout`` limits any call; a cancelled call has sent or received nothing.  One task may send while
    another one receives.
    """

    def __init__(self, connected: socket.socket) -> None:
        """Use and own ``connected``, as ``PortClient`` does."""
        self._socket = prepared(connected)
        self._room = bytearray(PACKET_MAX)

    @classmethod
    async def open(cls, path: str | os.PathLike[str], *, timeout: float = 0.0) -> AsyncPortClient:
        """Connect to the agent of ``--port unix:PATH``, and wait for it for at most ``timeout`` seconds.

        Raises PortUnavailable: no agent listens there, no permission, or not such a socket.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            far = message_socket()
            far.setblocking(False)
            try:
                await loop.sock_connect(far, os.fspath(path))
                return cls(far)
            except OSError as error:
                far.close()
                if error.errno not in NOT_LISTENING or loop.time() >= deadline:
                    raise unavailable(path, error) from error
            except BaseException:
                far.close()
                raise
            await asyncio.sleep(RETRY_S)

    async def send(self, packet: bytes | bytearray | memoryview) -> None:
        """Send one packet, see ``PortClient.send``; waits while the agent takes none.

        Raises FrameTooLarge, PeerGone, Closed.
        """
        check_size(packet)
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, packet)
        except OSError as error:
            raise translated(error) from error

    async def recv(self) -> bytes:
        """The next packet.  Raises PeerGone, Closed."""
        try:
            length = await asyncio.get_running_loop().sock_recv_into(self._socket, self._room)
        except OSError as error:
            raise translated(error) from error
        if length == 0:
            raise peer_gone()
        return bytes(memoryview(self._room)[:length])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Received packets until the agent goes."""
        with contextlib.suppress(PeerGone):
            while True:
                yield await self.recv()

    def close(self) -> None:
        """Close the connection: the other side of the link loses its carrier.  Idempotent."""
        self._socket.close()

    async def __aenter__(self) -> AsyncPortClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()
