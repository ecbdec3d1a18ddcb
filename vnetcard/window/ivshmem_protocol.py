"""The socket protocol of QEMU's ivshmem-doorbell (its docs/specs/ivshmem-spec.rst): a server, and a client.

The server hands out one memory and, to each client, an identity and its eventfds; it passes each client's eventfds to
the others, so that any client can interrupt any other.  QEMU with the device ivshmem-doorbell is a client; so is an
agent with ``ivshmem:``.  A message is a little-endian i64, with a descriptor or without:

    0 (the version) | the client's identity | -1 and the memory | for each other client, then for itself: its identity
    and an eventfd, once per vector | later: the same for a client that joins, the identity alone for one that leaves
"""

from __future__ import annotations

import array
import contextlib
import itertools
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.terminal.ready import readable
from vnetcard.window.interrupts import CONS, PROD, VECTORS, IrqTrigger

VERSION: Final = 0
MEMORY: Final = -1
HANDSHAKE_LIMIT: Final = 5.0
"""Seconds for the server's part of the handshake."""
_WORD: Final = struct.Struct("<q")
_FD_BYTES: Final = array.array("i").itemsize
IDENTITIES: Final = 1 << 16


def _send(to: socket.socket, value: int, fd: int | None = None) -> None:
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    to.sendmsg([_WORD.pack(value)], rights)


def _receive(server: socket.socket) -> tuple[int, int | None] | None:
    """The next message and its descriptor; None at the end.  OSError, also BlockingIOError."""
    data, rights, _, _ = server.recvmsg(_WORD.size, socket.CMSG_SPACE(_FD_BYTES))
    fds = array.array("i")
    for level, kind, body in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(body[: len(body) - len(body) % _FD_BYTES])
    fd = fds[0] if fds else None
    if len(data) != _WORD.size:
        if fd is not None:
            os.close(fd)
        return None
    return _WORD.unpack(data)[0], fd


class Client:
    """A client: ``memory`` is a descriptor of the shared memory.  Its interrupts are ``interrupts.Interrupts``."""

    def __init__(self, path: Path) -> None:
        """Raises WindowUnavailable: no server there, or not one of QEMU's protocol."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(HANDSHAKE_LIMIT)
        self._fds: dict[int, list[int]] = {}
        self.memory = -1
        try:
            self._socket.connect(str(path))
            self._shake_hands()
        except OSError as error:
            self.close()
            remedy = f"start `vnetcard ivshmem-server {path}`, and QEMU after it"
            if isinstance(error, PermissionError):
                remedy = "it serves the user that started it, and root"
            raise WindowUnavailable(
                f"ivshmem:{path}: {error.strerror or error}; {remedy}", code=code_of(error)
            ) from error
        except BaseException:
            self.close()
            raise
        self._socket.setblocking(False)

    def _shake_hands(self) -> None:
        version, self._identity = self._plain("its version"), 0
        if version != VERSION:
            raise self._odd(f"it speaks version {version} of the protocol, this software {VERSION}")
        self._identity = self._plain("our identity")
        word, fd = self._next("the memory")
        if word != MEMORY or fd is None:
            raise self._odd("it gave no memory")
        self.memory = fd
        while len(self._fds.get(self._identity, ())) < VECTORS:
            try:
                self._note_client(*self._next("our interrupts"))
            except TimeoutError:
                raise self._odd(f"it gives fewer than {VECTORS} interrupt vectors: start it with {VECTORS}") from None

    def _next(self, what: str) -> tuple[int, int | None]:
        message = _receive(self._socket)
        if message is None:
            raise self._odd(f"it ended before it sent {what}")
        return message

    def _plain(self, what: str) -> int:
        word, fd = self._next(what)
        if fd is not None or not 0 <= word < IDENTITIES:
            if fd is not None:
                os.close(fd)
            raise self._odd(f"{word} cannot be {what}")
        return word

    def _odd(self, why: str) -> WindowUnavailable:
        return WindowUnavailable(
            f"ivshmem:{self._path}: what serves there is no ivshmem server of ours: {why}",
            code=ErrorCode.DEVICE_BROKEN,
        )

    def _note_client(self, identity: int, fd: int | None) -> None:
        """A client joined (one call per vector) or left (``fd`` is None)."""
        if fd is not None:
            self._fds.setdefault(identity, []).append(fd)
            return
        for old in self._fds.pop(identity, []):
            os.close(old)

    def lost(self) -> str | None:
        """Read the server's messages; why the server is no longer there, or None."""
        try:
            while message := _receive(self._socket):
                self._note_client(*message)
        except BlockingIOError:
            return None
        except OSError as error:
            return f"the ivshmem server of {self._path} is gone ({error.strerror})"
        return f"the ivshmem server of {self._path} has ended"

    # --- vnetcard.window.interrupts.Interrupts ----------------------------------------------------------------------

    @property
    def number(self) -> int:
        return self._identity + 1

    @property
    def eventfds(self) -> tuple[int, int]:
        own = self._fds[self._identity]
        return own[PROD], own[CONS]

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        self.lost()
        fds = self._fds.get(number - 1, [])
        if number == self.number or len(fds) < VECTORS:
            return None
        return IrqTrigger(fd=fds[PROD]), IrqTrigger(fd=fds[CONS])

    def close(self) -> None:
        """Leave the server.  Idempotent."""
        self._socket.close()
        for fd in (self.memory, *(fd for fds in self._fds.values() for fd in fds)):
            if fd >= 0:
                os.close(fd)
        self.memory, self._fds = -1, {}


@dataclass(slots=True)
class _Peer:
    socket: socket.socket
    fds: list[int]


class Server:
    """Serves at ``path``; memory and eventfds have no name, so nothing but the socket is there to be left behind."""

    def __init__(self, path: Path, size: int) -> None:
        """Raises ConfigError (another server is there, no such folder, no permission, no room)."""
        self._path = path
        self._peers: dict[int, _Peer] = {}
        self._next = 0  # QEMU 7.2 dies of an identity that comes a second time (it uses what it has freed)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._memory = os.memfd_create("vnetcard-ivshmem", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(self._memory, 0, size)
            self._bind()
        except OSError as error:
            self._listener.close()
            os.close(self._memory)
            raise ConfigError(f"cannot serve at {path}: {error.strerror or error}") from error

    def _bind(self) -> None:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe,
            contextlib.suppress(ConnectionRefusedError, FileNotFoundError),
        ):
            probe.connect(str(self._path))
            raise OSError("another server serves there: end it, or take another path")
        if self._path.is_socket():
            self._path.unlink()  # left by a server that was killed
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(before)
        self._listener.listen()

    def serve(self, until: int) -> None:
        """Until the descriptor ``until`` can be read."""
        while True:
            sockets = {peer.socket.fileno(): identity for identity, peer in self._peers.items()}
            ready = readable([until, self._listener, *sockets], None)
            if until in ready:
                return
            for fd in ready:
                if sockets.get(fd) in self._peers:  # notifying the others may have shown that it left too
                    self._part(sockets[fd])  # clients send nothing: this is the end of one
            if self._listener.fileno() in ready:
                with contextlib.suppress(OSError):
                    self._welcome(self._listener.accept()[0])

    def _welcome(self, client: socket.socket) -> None:
        client.settimeout(HANDSHAKE_LIMIT)
        identity = next(
            n for n in itertools.chain(range(self._next, IDENTITIES), range(self._next)) if n not in self._peers
        )
        self._next = (identity + 1) % IDENTITIES
        new = _Peer(client, [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(VECTORS)])
        try:
            _send(client, VERSION)
            _send(client, identity)
            _send(client, MEMORY, self._memory)
            for other, peer in self._peers.items():
                for fd in peer.fds:
                    _send(client, other, fd)
            self._notify_others(identity, new.fds)
            for fd in new.fds:
                _send(client, identity, fd)
            self._peers[identity] = new
        except OSError:
            self._drop(new)
            self._notify_others(identity, [])

    def _part(self, identity: int) -> None:
        self._drop(self._peers.pop(identity))
        self._notify_others(identity, [])

    def _notify_others(self, identity: int, fds: list[int]) -> None:
        """Send the others ``identity`` with its ``fds``; no ``fds``: it has left."""
        for number, peer in list(self._peers.items()):
            try:
                for fd in fds:
                    _send(peer.socket, identity, fd)
                if not fds:
                    _send(peer.socket, identity)
            except OSError:
                if number in self._peers:
                    self._part(number)

    @staticmethod
    def _drop(peer: _Peer) -> None:
        peer.socket.close()
        for fd in peer.fds:
            os.close(fd)

    def close(self) -> None:
        """Disconnect all clients and remove the socket."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._listener.close()
        for peer in self._peers.values():
            self._drop(peer)
        self._peers.clear()
        os.close(self._memory)
