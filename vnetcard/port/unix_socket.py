"""``unix:PATH[?frames=ethernet]``: a SOCK_SEQPACKET socket (unix(7)) for one program; each message is one packet.

The pumps keep one descriptor: a connection is put in its place by dup2(2), and while no program is connected it is an
end at which nothing arrives and which refuses writes with EPIPE.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
import threading
import time
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port.plain import PlainPort, need_one_queue, split_frames
from vnetcard.terminal import capabilities, limits

PATH_MAX: Final = 107
"""Bytes of a path: sun_path of struct sockaddr_un less the final 0, Linux include/uapi/linux/un.h."""
BUFFER_BYTES: Final = 4 << 20
"""Wanted size of a connection's send buffer; the kernel limits it to net.core.wmem_max."""
DRAIN_LIMIT_S: Final = 2.0
"""Seconds in which the pump takes what a program sent before it closed."""


class UnixPort(PlainPort):
    """Listens at ``path``; see ``vnetcard.port.Port`` for the contract.

    ``present``: a program is connected.  Another one is turned away until that one closes.
    """

    def __init__(self, path: Path, frames: int) -> None:
        """Listen; ``frames`` is of layout.FRAMES.  OSError."""
        self.frames = frames
        self.name = str(path)
        self.present = False
        self._path = path
        self._closed = False
        with contextlib.ExitStack() as opened:
            self._empty = _end_without_program(opened)
            self._fd = os.dup(self._empty.fileno())
            opened.callback(os.close, self._fd)
            self._stop_read, stop_write = os.pipe2(os.O_CLOEXEC)
            opened.callback(os.close, self._stop_read)
            opened.callback(os.close, stop_write)
            self._listener = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            self._listener.setblocking(False)
            opened.callback(self._remove, _bind(self._listener, path))
            self._listener.listen(8)
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

    def _remove(self, inode: tuple[int, int]) -> None:
        with contextlib.suppress(OSError):
            if _inode(self._path) == inode:
                self._path.unlink()

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
                self.present = True
                stopped = self._wait_for_end(client)
                self.present = False
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

    def _wait_for_end(self, client: socket.socket) -> bool:
        """Return once ``client`` has closed, or with True when the port is closed; others are turned away."""
        poll = select.poll()
        poll.register(client, select.POLLRDHUP)
        poll.register(self._stop_read, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._stop_read:
                    return True
                if fd == client.fileno():
                    return False
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


def _unread(client: socket.socket) -> int:
    """Bytes of messages that wait to be read (SIOCINQ, unix(7))."""
    return int(struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0])


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _bind(listener: socket.socket, path: Path) -> tuple[int, int]:
    """Bind to ``path`` with mode 0600, and return its device and inode; a socket without listener is replaced."""
    before = os.umask(0o177)
    try:
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_over(path):
                raise
            path.unlink()
            listener.bind(str(path))
    finally:
        os.umask(before)
    return _inode(path)


def _is_left_over(path: Path) -> bool:
    """Whether ``path`` is a socket of this user at which nothing listens."""
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        return False
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with contextlib.closing(socket.socket(socket.AF_UNIX, kind)) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                return True
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    return False
            else:
                return False
    return False


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> UnixPort:
    """Listen at the path in ``name``; ``netns`` and ``persist`` have no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"unix:{name}", queues)
    path, frames = split_frames(name)
    if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(
            f"port unix:{name}: expected an absolute path of at most {PATH_MAX} bytes", code=ErrorCode.BAD_URL
        )
    try:
        return UnixPort(Path(path), frames)
    except (OSError, RuntimeError) as error:
        raise _unavailable(name, error) from error


def _unavailable(name: str, error: OSError | RuntimeError) -> PortUnavailable:
    if isinstance(error, RuntimeError):
        words, code = "out of tasks: no thread can be started", ErrorCode.RESOURCE_LIMIT
    elif error.errno == errno.EADDRINUSE:
        words, code = (
            "the path is taken: another program listens there, or it is another kind of file",
            ErrorCode.PORT_BUSY,
        )
    elif limit := limits.name_of(error):
        words, code = limit, ErrorCode.RESOURCE_LIMIT
    elif error.errno in (errno.EACCES, errno.EPERM):
        words, code = "no permission to create a socket in this folder", ErrorCode.PORT_PERMISSION
    else:
        words, code = f"cannot listen there ({error.strerror})", ErrorCode.PORT_UNAVAILABLE
    return PortUnavailable(f"port unix:{name}: {words}", code=code)
