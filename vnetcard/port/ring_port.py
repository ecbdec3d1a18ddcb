"""What ports of rings in shared memory have in common: a path, a thread that connects, and what it watches.

The frames are moved by the pumps (_c/vnc_rings.h); the thread of the port connects to one peer after the other,
attaches the memory, and takes it away when the peer has gone or has done what it must not.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from vnetcard import _core
from vnetcard.port import listener
from vnetcard.port.plain import PlainPort
from vnetcard.port.ring_peer import Refused, Stopped, pause
from vnetcard.ring import layout as L
from vnetcard.terminal import capabilities

RETRY_S, RETRY_MOST_S = 0.1, 5.0
"""Seconds between two attempts to connect: at first, and at most once the peer has failed again and again."""
DRAIN_LIMIT_S: Final = 2.0
"""Seconds in which the pump takes what a peer sent before it closed."""
BLOCKED_S: Final = 1.0
"""Seconds in which a pump can write to the peer's eventfd; also how often that is checked."""


class RingPort(PlainPort):
    """Connects or listens at a path; see ``vnetcard.port.Port`` for the contract.

    ``rings`` are what the pumps use; ``present``: they are attached to those of a peer.  A port that listens turns
    others away until the peer leaves.  The rest is for the kinds, in the port's thread.
    """

    frames = L.FRAMES["ETHERNET"]
    FAULTS: ClassVar[tuple[str, ...]]
    """What the peer wrote, by enum vnc_rings_fault of _c/vnc_rings.h."""

    def __init__(
        self, kind: str, path: Path, server: bool, rings: Callable[..., _core.Rings], sock: socket.SocketKind
    ) -> None:
        """Listen, or begin to connect, at a socket of type ``sock``; ``rings`` is the class of the kind.

        OSError; RuntimeError: no thread can be started.
        """
        self.name = str(path)
        self.present = False
        self.server = server
        self._kind, self._sock = kind, sock
        self._news: list[str] = []
        self._last_news = ""
        self._slots = (0, 0)
        self._faults = 0
        self._writing, self._since = (0, 0), [0.0, 0.0]
        self._lock = threading.Lock()
        with contextlib.ExitStack() as opened:
            self._epoll = opened.enter_context(select.epoll())
            os.set_blocking(self._epoll.fileno(), False)
            self._attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            opened.callback(os.close, self._attention)
            self.rings = rings(attention_fd=self._attention)
            self.stop, stop_write = os.pipe2(os.O_CLOEXEC)
            opened.callback(os.close, self.stop)
            opened.callback(os.close, stop_write)
            self._listener = listener.listen_at(path, opened, sock) if server else None
            self._thread = threading.Thread(target=self._serve, name=kind, daemon=True)
            self._thread.start()
            opened.callback(self._thread.join)
            opened.callback(os.write, stop_write, b"x")
            self._opened = opened.pop_all()

    @property
    def fds(self) -> tuple[int, ...]:
        """An epoll descriptor that is readable once the peer has notified the pump."""
        return (self._epoll.fileno(),)

    @abstractmethod
    def view(self) -> dict[str, Any]:
        """For ``show port``."""

    def take_news(self) -> list[str]:
        """What a peer has done wrong since the last call: lines for the log."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self) -> None:
        self._opened.close()

    # --- for the kinds -------------------------------------------------------------------------------

    @abstractmethod
    def serve_peer(self, peer: socket.socket) -> bool:
        """Serve the connected ``peer`` until it leaves.  Whether it did nothing wrong.  Stopped."""

    def ring_view(self) -> dict[str, int]:
        """Slots of the attached rings, connections that the peer has ended by what it wrote."""
        return {"receive_slots": self._slots[0], "send_slots": self._slots[1], "faults": self._faults}

    def forget_fault(self) -> None:
        """Before rings are attached: a fault of the last ones is not one of these."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._attention)

    def attached(self, wake_fd: int, receive_slots: int, send_slots: int) -> None:
        """``rings`` are attached; the peer wakes the pump by ``wake_fd``, unless it is negative.  OSError."""
        if wake_fd >= 0:
            self._epoll.register(wake_fd, select.EPOLLIN | select.EPOLLET)
        self._slots = receive_slots, send_slots
        self.present = True

    def detach(self, wake_fd: int, *, gone: bool = True) -> None:
        """Take ``rings`` from the pumps; not ``gone``: the peer's are attached again at once.  Idempotent."""
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(wake_fd)
        self.rings.detach()
        if gone:
            # Only now: until here a pump could still put frames into the rings of a peer that left.
            self.present = False
            self._slots = (0, 0)

    def wait(self, peer: socket.socket) -> bool:
        """Until ``peer`` sends or closes, for BLOCKED_S at most: whether it did.  Refused: its rings; Stopped."""
        poll = select.poll()
        for fd in (peer.fileno(), self.stop, self._attention):
            poll.register(fd, select.POLLIN)
        if self._listener:
            poll.register(self._listener, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(BLOCKED_S * 1000)}
        if self.stop in ready:
            raise Stopped
        self._check_rings()
        if peer.fileno() in ready:
            return True
        if self._listener and self._listener.fileno() in ready:  # not one that came just after the peer had left
            with contextlib.suppress(OSError):
                self._listener.accept()[0].close()
        return False

    def wait_until_drained(self) -> None:
        """Until the pump has taken what the peer sent, for DRAIN_LIMIT_S at most."""
        limit = time.monotonic() + DRAIN_LIMIT_S
        while self.rings.waiting and not self.rings.fault and time.monotonic() < limit:
            time.sleep(0.002)

    def report(self, words: str) -> None:
        """A line for the log, unless it was the last one."""
        if words != self._last_news:
            self._last_news = words
            with self._lock:
                self._news.append(f"port {self._kind}:{self.name}: {words}")

    def forget_news(self) -> None:
        """The same line may be reported again: a connection was made meanwhile."""
        self._last_news = ""

    def _check_rings(self) -> None:
        """Refused: a pump has found what is impossible, or its write to the peer's eventfd blocks."""
        if self.present and self.rings.fault:
            self._faults += 1
            raise Refused(f"the peer wrote {self.FAULTS[self.rings.fault]}")
        if not self.present:
            self.forget_fault()
        before, now = self._writing, self.rings.writing
        self._writing = now
        for end in (0, 1):
            if now[end] != before[end] or not now[end]:
                self._since[end] = time.monotonic()
            elif time.monotonic() - self._since[end] >= BLOCKED_S:
                raise Refused("the peer's eventfd blocks")

    # --- the thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Connect to one peer after the other; after a failure wait, the longer the more there were."""
        capabilities.shed()
        wait = RETRY_S
        with contextlib.suppress(Stopped):
            while True:
                with self._connection() as peer:
                    served = self.serve_peer(peer) if peer is not None else None
                if served is not None:
                    wait = RETRY_S if served else min(2 * wait, RETRY_MOST_S)
                pause(self.stop, wait)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket | None]:
        """A connected socket; None: no peer is there, or the system refuses."""
        try:
            peer = self._accept() if self._listener else self._connect()
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, ConnectionRefusedError, BlockingIOError)):
                self.report(f"cannot connect ({error.strerror})")
            peer = None
        with peer or contextlib.nullcontext():
            yield peer

    def _accept(self) -> socket.socket:
        assert self._listener is not None
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self.stop, select.POLLIN)
        if any(fd == self.stop for fd, _ in poll.poll()):
            raise Stopped
        return self._listener.accept()[0]

    def _connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, self._sock)
        try:
            peer.setblocking(False)
            peer.connect(self.name)
        except OSError:
            peer.close()
            raise
        return peer
