"""``unix:PATH[?frames=ethernet]``: a SOCK_SEQPACKET socket (unix(7)) for one program; each message is one packet.

The pumps keep one descriptor: a connection is put in its place by dup2(2), and while no program is connected it is an
end at which nothing arrives and which refuses writes with EPIPE.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import threading
import time
from pathlib import Path
from typing import Final, Protocol

from vnetcard.port import listener
from vnetcard.port.plain import PlainPort, need_one_queue, split_frames
from vnetcard.ring import layout as L
from vnetcard.terminal import capabilities

BUFFER_BYTES: Final = 4 << 20
"""Wanted size of a connection's send buffer; the kernel limits it to net.core.wmem_max."""
DRAIN_LIMIT_S: Final = 2.0
"""Seconds in which the pump takes what a program sent before it closed."""
ONE_TURN: Final = 64
"""Most messages that are handed on before the port looks whether it is closed."""


class Receiver(Protocol):
    """What uses the socket from the program's side on, in the port's thread; the pumps then read nothing from it."""

    def connected(self, present: bool) -> None:
        """A program has connected, or closed."""

    def receive(self, packet: bytes) -> None:
        """A message of the program, at most layout.FRAME_MAX + 1 bytes of it."""


class UnixPort(PlainPort):
    """Listens at ``path``; see ``vnetcard.port.Port`` for the contract.

    ``present``: a program is connected.  Another one is turned away until that one closes.
    """

    def __init__(self, path: Path, frames: int, receiver: Receiver | None = None) -> None:
        """Listen; ``frames`` is of layout.FRAMES, ``receiver`` what else uses the socket.  OSError."""
        self.frames = frames
        self._receiver = receiver
        self.name = str(path)
        self.present = False
        self._closed = False
        with contextlib.ExitStack() as opened:
            self._empty = _end_without_program(opened)
            self._fd = os.dup(self._empty.fileno())
            opened.callback(os.close, self._fd)
            self._stop_read, stop_write = os.pipe2(os.O_CLOEXEC)
            opened.callback(os.close, self._stop_read)
            opened.callback(os.close, stop_write)
            self._listener = listener.listen_at(path, opened)
            self._thread = threading.Thread(target=self._serve, name="unix-port", daemon=True)
            self._thread.start()
            opened.callback(self._thread.join)
            opened.callback(os.write, stop_write, b"x")
            self._opened = opened.pop_all()

    @property
    def fds(self) -> tuple[int, ...]:
        return (self._fd,)

    def close(self) -> None:
        self._opened.close()

    # --- the thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Connect one program after the other."""
        capabilities.shed()
        while client := self._accept():
            with client:
                client.setblocking(False)
                with contextlib.suppress(OSError):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
                os.dup2(client.fileno(), self._fd, inheritable=False)
                self._set_present(True)
                stopped = self._wait_for_end(client)
                self._set_present(False)
                if not stopped:
                    self._wait_until_drained(client)
                os.dup2(self._empty.fileno(), self._fd, inheritable=False)

    def _accept(self) -> socket.socket | None:
        """The next program; None when the port is closed."""
        while not self._stopped(self._listener.fileno(), select.POLLIN):
            try:
                return self._listener.accept()[0]
            except BlockingIOError:
                continue
            except OSError:  # such as EMFILE: out of file descriptors
                time.sleep(0.1)
        return None

    def _set_present(self, present: bool) -> None:
        self.present = present
        if self._receiver is not None:
            self._receiver.connected(present)

    def _wait_for_end(self, client: socket.socket) -> bool:
        """Return once ``client`` has closed, or with True when the port is closed; others are turned away."""
        poll = select.poll()
        poll.register(client, select.POLLRDHUP | (select.POLLIN if self._receiver else 0))
        poll.register(self._stop_read, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while True:
            for fd, events in poll.poll():
                if fd == self._stop_read:
                    return True
                if fd == client.fileno():
                    if self._receiver is None or _hand_on(client, self._receiver, ends=events & select.POLLRDHUP):
                        return False
                    continue
                with contextlib.suppress(OSError):
                    self._listener.accept()[0].close()

    def _wait_until_drained(self, client: socket.socket) -> None:
        limit = time.monotonic() + DRAIN_LIMIT_S
        while _unread(client) and time.monotonic() < limit:
            time.sleep(0.002)

    def _stopped(self, fd: int, events: int) -> bool:
        """Wait for ``events`` at ``fd``; True when the port is closed."""
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._stop_read, select.POLLIN)
        return any(ready == self._stop_read for ready, _ in poll.poll())


def _end_without_program(opened: contextlib.ExitStack) -> socket.socket:
    """An end at which nothing arrives, and whose writes fail with EPIPE."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    opened.enter_context(near)
    opened.enter_context(far)
    near.setblocking(False)
    far.shutdown(socket.SHUT_RD)
    return near


def _hand_on(client: socket.socket, receiver: Receiver, *, ends: int) -> bool:
    """Give ``receiver`` messages that wait; True where the connection ``ends`` and there are no more."""
    for _ in range(ONE_TURN):
        try:
            packet = client.recv(L.FRAME_MAX + 1)
        except BlockingIOError:
            return bool(ends)
        except OSError:  # such as ECONNRESET
            return True
        if not packet and (ends or _has_ended(client)) and not _unread(client):
            return True
        receiver.receive(packet)
    return False


def _has_ended(client: socket.socket) -> bool:
    """Whether the far end has closed, be it after the last poll: an empty message is received like the end."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def _unread(client: socket.socket) -> int:
    """Bytes of messages that wait to be read (SIOCINQ, unix(7))."""
    return int(struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0])


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> UnixPort:
    """Listen at the path in ``name``; ``netns`` and ``persist`` have no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"unix:{name}", queues)
    path, frames = split_frames(name)
    return listen(path, frames, name)


def listen(path: str, frames: int, name: str, receiver: Receiver | None = None) -> UnixPort:
    """A port at ``path``, called unix:``name`` in errors; see ``UnixPort``.  ConfigError, PortUnavailable."""
    try:
        return UnixPort(listener.checked_path(path, f"unix:{name}"), frames, receiver)
    except (OSError, RuntimeError) as error:
        raise listener.unavailable(f"unix:{name}", error) from error
