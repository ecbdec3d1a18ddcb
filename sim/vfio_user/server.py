"""The server: one client at a time on a UNIX socket, requests in order, an error reply for whatever is no request."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.sim.vfio_user import protocol as P
from vnetcard.sim.vfio_user.channel import Channel, Message
from vnetcard.sim.vfio_user.device import Device

PATH_MAX: Final = 107
"""Bytes of a UNIX socket's path (unix(7))."""
BACKLOG: Final = 8
"""Clients that may wait for the one before."""
CAPABILITIES: Final = {"max_msg_fds": P.FDS_MAX, "max_data_xfer_size": P.DATA_MAX, "pgsizes": 4096}
Log = Callable[[str], None]


class Session:
    """One client from its VERSION on: ``reply`` to each of its messages."""

    def __init__(self, device: Device, log: Log) -> None:
        self._device, self._log = device, log
        self._agreed = False

    def reply(self, message: Message) -> bytes | None:
        """The reply, or None where the client wants none; raises Refused (final) after which no more is served."""
        header = message.header
        try:
            payload = self._serve(message)
        except P.Refused as refused:
            self._log(f"refused command {header.command} of the client: {refused}")
            if refused.final:
                raise
            return header.refusal(refused.number) if header.wants_reply else None
        finally:
            message.close()
        return header.reply(payload) if header.wants_reply else None

    def _serve(self, message: Message) -> bytes:
        if message.header.command == P.Command.VERSION:
            return self._version(message.payload)
        if not self._agreed:
            raise P.Refused(errno.EINVAL, "no version was agreed upon", final=True)
        return self._device.serve(message.header.command, message.payload, message.fds)

    def _version(self, payload: bytes) -> bytes:
        asked = P.Version.parse(payload)
        if self._agreed:
            raise P.Refused(errno.EINVAL, "a second version")
        if asked.major != P.MAJOR:
            raise P.Refused(errno.ENOTSUP, f"version {asked.major}.{asked.minor}", final=True)
        self._agreed = True
        return P.Version(P.MAJOR, min(asked.minor, P.MINOR), dict(CAPABILITIES)).pack()


class Server:
    """Serves ``device`` at ``path`` in a thread of its own; ``interrupt_fd`` is an eventfd that the engine signals.

    ``call`` runs a function in that thread, between two requests.
    """

    def __init__(self, path: Path, device: Device, interrupt_fd: int, *, log: Log) -> None:
        """Listen; raises ConfigError when there is no place for the socket."""
        self._path, self._device, self._interrupt_fd, self._log = path, device, interrupt_fd, log
        self._listener = _listen(path)
        self._calls: list[Callable[[], None]] = []
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stop = False
        self._channel: Channel | None = None
        self._session: Session | None = None
        self.clients = 0
        """Connections so far."""
        self._thread = threading.Thread(target=self._run, name="vfio-user")
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` in the server's thread, and return when it has run."""
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        self._calls.append(run)
        os.eventfd_write(self._wake, 1)
        done.wait()

    def close(self) -> None:
        """End the connection and the thread; the socket's name is gone."""
        self._stop = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._listener.close()
        os.close(self._wake)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _run(self) -> None:
        while not self._stop:
            poll = select.poll()
            sources = [self._wake, self._interrupt_fd, (self._channel or self._listener).fileno()]
            for fd in sources:
                poll.register(fd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll()]
            if self._wake in ready:
                self._run_calls()
            if self._interrupt_fd in ready:
                self._forward_interrupt()
            if sources[-1] in ready:
                self._accept() if self._channel is None else self._requests()
        self._hang_up()
        self._run_calls()

    def _run_calls(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._calls:
            self._calls.pop(0)()

    def _forward_interrupt(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._interrupt_fd)
            self._device.interrupt()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            self._channel, self._session = Channel(connection), Session(self._device, self._log)
            self.clients += 1

    def _requests(self) -> None:
        """Serve what has arrived; the connection ends with the client, or with what is no message."""
        assert self._channel is not None and self._session is not None
        header = None
        try:
            message = self._channel.receive()
            if message is None:
                return
            header = message.header
            reply = self._session.reply(message)
            if reply is not None:
                self._channel.send(reply)
        except EOFError:
            self._hang_up()
        except P.Refused as refused:
            self._log(f"ended the connection: {refused}")
            with contextlib.suppress(EOFError):
                self._channel.send((header or P.Header(0, 0, P.HEADER.size)).refusal(refused.number))
            self._hang_up()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._device.close()
            self._channel = self._session = None


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(f"{path}: a socket's path has at most {PATH_MAX} bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setblocking(False)
    try:
        if path.exists() and stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
            path.unlink()  # of a server that was killed
        before = os.umask(0o077)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        code = ErrorCode.WINDOW_TAKEN if error.errno == errno.EADDRINUSE else ErrorCode.FILE_UNWRITABLE
        raise ConfigError(f"cannot make the socket {path} ({error.strerror})", code=code) from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
