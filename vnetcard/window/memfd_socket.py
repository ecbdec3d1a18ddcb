"""How agents hand over the memory of ``memfd:``: a UNIX socket per side, and the descriptor by SCM_RIGHTS (unix(7)).

A client connects, and gets at once one byte: ``GIVEN`` with the descriptor, or ``REFUSED``.  It sends nothing, so no
client can delay another.  Either end checks the other's user by SO_PEERCRED before it trusts it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowNotReady, WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.terminal import capabilities
from vnetcard.window import trust
from vnetcard.window.contract import Pulse, at_once, no_pulse
from vnetcard.window.locks import PULSE_EVERY
from vnetcard.window.trust import Peer, Sharing

GIVEN: Final = b"+"
REFUSED: Final = b"-"
ANSWER_LIMIT: Final = 2.0
"""Seconds for an agent to answer, on a busy machine; a stopped one does not."""


class Giver:
    """Gives memory to every trusted process that connects to the socket at ``path``, in a thread of its own."""

    def __init__(self, path: Path, memory: int, sharing: Sharing) -> None:
        """Listen; a socket found at ``path`` was left by a killed agent, as the caller has checked.  OSError.

        ``memory`` is opened again: a lock on it would last as long as any process has the same open file.
        """
        self._path, self._sharing = path, sharing
        self._closed = False
        self._inode: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._serve, name="memfd", daemon=True)
        self._fd = os.open(f"/proc/self/fd/{memory}", os.O_RDWR | os.O_CLOEXEC)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind()
            self._inode = _inode(path)
            self._listener.listen(64)
            self._thread.start()
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError):  # out of tasks
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
            raise

    def _bind(self) -> None:
        if self._path.is_socket():
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(before)
        if self._sharing.group is not None:
            os.chown(self._path, -1, self._sharing.group)
        self._path.chmod(self._sharing.mode)

    def _serve(self) -> None:
        capabilities.shed()
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.1)  # such as EMFILE: out of file descriptors
                continue
            with client, contextlib.suppress(OSError):
                client.setblocking(False)  # an empty socket takes a byte
                if Peer.of(client).is_trusted(self._sharing):
                    socket.send_fds(client, [GIVEN], [self._fd])
                else:
                    client.send(REFUSED)

    def vanished(self) -> str | None:
        """Why the peer's agent could not get the memory from here any more, or None."""
        return None if _inode(self._path) == self._inode else f"the socket {self._path} was removed or replaced"

    def close(self) -> None:
        """Remove the socket and stop.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            if self._inode and _inode(self._path) == self._inode:
                self._path.unlink()  # before it closes: until then another agent finds this side taken
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        os.close(self._fd)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        state = path.lstat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def owner_of(path: Path) -> Peer | None:
    """The process that listens at ``path``, also one that is stopped; None: no process does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
            return Peer.of(client)
        except OSError:
            return None


def _await(client: socket.socket, pulse: Pulse) -> None:
    """Wait for the answer; TimeoutError, or what ``pulse`` raises."""
    readable, deadline = select.poll(), time.monotonic() + ANSWER_LIMIT
    readable.register(client, select.POLLIN)
    while not readable.poll(PULSE_EVERY * 1000):
        at_once(pulse)
        if time.monotonic() > deadline:
            raise TimeoutError


def get_memory(path: Path, url: str, sharing: Sharing, pulse: Pulse = no_pulse) -> int | None:
    """A descriptor of the memory that the agent at ``path`` gives; None: no agent is there.

    Raises WindowUnavailable (it is not trusted, or does not trust this process) and WindowNotReady (it does not
    answer).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        peer = None
        try:
            client.connect(str(path))
            peer = Peer.of(client)
            if not peer.is_trusted(sharing):
                raise trust.refusal(
                    url,
                    f"the socket {path} is that of {peer}, who could read and change every packet: name another "
                    f"--window, or trust that user with ?owner={peer.uid}",
                )
            _await(client, pulse)
            answer, fds, _, _ = socket.recv_fds(client, 1, 1, socket.MSG_CMSG_CLOEXEC)
        except (FileNotFoundError, ConnectionError):
            return None  # also one that ended just now
        except (TimeoutError, BlockingIOError) as error:
            raise WindowNotReady(
                f"{url}: {peer or f'the agent at {path}'} has the memory and does not answer: continue it, or name "
                "another --window",
                code=ErrorCode.PEER_UNRESPONSIVE,
            ) from error
        except OSError as error:
            raise WindowUnavailable(
                f"{url}: cannot connect to {path} ({error.strerror})", code=code_of(error)
            ) from error
    if answer == REFUSED:
        raise WindowUnavailable(
            f"{url}: {peer} does not trust {trust.user_name(os.geteuid())}: start it with ?owner={os.geteuid()}",
            code=ErrorCode.WINDOW_PERMISSION,
        )
    return fds[0] if fds else None
