"""``memif:PATH[?role=server&id=N&ring=LOG2&buffer=BYTES]``: Ethernet frames of a program, in rings of shared memory.

The program speaks memif 2.0, as VPP, DPDK and libmemif do.  A client makes the memory and connects to PATH again and
again; a server listens there.  The frames are moved by the pumps (_c/vnc_memif.h); the thread of the port connects,
attaches the memory, and takes it away when the peer has gone or has done what it must not.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port import listener
from vnetcard.port.memif_handshake import Options, Shared, as_client, as_server, greet
from vnetcard.port.memif_protocol import Channel, Left, Refused, Stopped, close_all, pause
from vnetcard.port.plain import PlainPort, need_one_queue
from vnetcard.ring import layout as L
from vnetcard.terminal import capabilities

ROLES: Final = ("client", "server")
RANGES: Final = {"id": (0, 0xFFFF_FFFF), "ring": (1, 14), "buffer": (64, 65536)}
"""Least and largest value of the options that are numbers."""
FAULTS: Final = (
    "",
    "an index beyond its ring",
    "a descriptor of an unknown region",
    "a descriptor beyond its region or buffer",
    "a frame without its last descriptor",
    "memory that was cut short",
)
"""By enum vnc_memif_fault of _c/vnc_memif.h."""
RETRY_S, RETRY_MOST_S = 0.1, 5.0
"""Seconds between two attempts to connect: at first, and at most once the peer has failed again and again."""
DRAIN_LIMIT_S: Final = 2.0
"""Seconds in which the pump takes what a peer sent before it closed."""
BLOCKED_S: Final = 1.0
"""Seconds in which a pump can write to the peer's eventfd; also how often that is checked."""


class MemifPort(PlainPort):
    """Connects or listens at ``path``; see ``vnetcard.port.Port`` for the contract.

    ``present``: a peer is connected.  A server turns others away until that one leaves.
    """

    frames = L.FRAMES["ETHERNET"]

    def __init__(self, path: Path, role: str, options: Options) -> None:
        """Listen, or begin to connect.  OSError; RuntimeError: no thread can be started."""
        self.name = str(path)
        self.present = False
        self._path, self._server, self._options = path, role == "server", options
        self._news: list[str] = []
        self._last_news = ""
        self._peer, self._slots = "", (0, 0)
        self._faults = 0
        self._lock = threading.Lock()
        with contextlib.ExitStack() as opened:
            self._epoll = opened.enter_context(select.epoll())
            os.set_blocking(self._epoll.fileno(), False)
            self._attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            opened.callback(os.close, self._attention)
            self.memif = _core.Memif(attention_fd=self._attention)
            self._stop, stop_write = os.pipe2(os.O_CLOEXEC)
            opened.callback(os.close, self._stop)
            opened.callback(os.close, stop_write)
            self._listener = listener.listen_at(path, opened) if self._server else None
            self._thread = threading.Thread(target=self._serve, name="memif", daemon=True)
            self._thread.start()
            opened.callback(self._thread.join)
            opened.callback(os.write, stop_write, b"x")
            self._opened = opened.pop_all()

    @property
    def fds(self) -> tuple[int, ...]:
        """An epoll descriptor that is readable once the peer has notified the pump."""
        return (self._epoll.fileno(),)

    def view(self) -> dict[str, Any]:
        """For ``show port``: role, the peer's name and the slots of both rings, 0 without a peer; ended connections."""
        return {
            "role": "server" if self._server else "client",
            "peer": self._peer,
            "receive_slots": self._slots[0],
            "send_slots": self._slots[1],
            "faults": self._faults,
        }

    def take_news(self) -> list[str]:
        """What a peer has done wrong since the last call: lines for the log."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self) -> None:
        self._opened.close()

    # --- the thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Connect to one peer after the other; after a failure wait, the longer the more there were."""
        capabilities.shed()
        wait = RETRY_S
        with contextlib.suppress(Stopped):
            while True:
                with self._connection() as peer:
                    served = self._serve_peer(peer) if peer is not None else None
                if served is not None:
                    wait = RETRY_S if served else min(2 * wait, RETRY_MOST_S)
                pause(self._stop, wait)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket | None]:
        """A connected socket; None: no peer is there, or the system refuses."""
        try:
            peer = self._accept() if self._listener else self._connect()
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, ConnectionRefusedError, BlockingIOError)):
                self._report(f"cannot connect ({error.strerror})")
            peer = None
        with peer or contextlib.nullcontext():
            yield peer

    def _accept(self) -> socket.socket:
        assert self._listener is not None
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        if any(fd == self._stop for fd, _ in poll.poll()):
            raise Stopped
        return self._listener.accept()[0]

    def _connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.setblocking(False)
            peer.connect(self.name)
        except OSError:
            peer.close()
            raise
        return peer

    def _serve_peer(self, peer: socket.socket) -> bool:
        """Until it leaves.  Whether it did nothing wrong.  Stopped."""
        channel = Channel(peer, self._stop)
        try:
            shared = (as_server if self._server else as_client)(channel, self._options)
            try:
                self._attach(shared)
                if self._server:
                    greet(channel)
                self._last_news = ""
                self._watch(channel, peer)
                return True
            finally:
                self._detach(shared)
        except Refused as error:
            self._report(str(error))
            channel.disconnect(str(error))
        except OSError as error:
            self._report(f"cannot set up the connection ({error.strerror})")
        except Stopped:
            channel.disconnect("the port is closed")
            raise
        return False

    def _attach(self, shared: Shared) -> None:
        assert shared.receive is not None and shared.send is not None
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._attention)
        try:
            self.memif.attach(
                tuple(shared.regions),
                receive=shared.receive,
                send=shared.send,
                notify_fd=shared.send_fd,
                buffers=shared.buffers,
            )
        except ValueError as error:
            raise Refused(str(error)) from error
        self._epoll.register(shared.receive_fd, select.EPOLLIN | select.EPOLLET)
        self._peer, self._slots = shared.peer, (1 << shared.receive[2], 1 << shared.send[2])
        self.present = True

    def _detach(self, shared: Shared) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(shared.receive_fd)
        self.memif.detach()
        self.present = False  # only now: until here a pump could still put frames into the rings of a peer that left
        self._peer, self._slots = "", (0, 0)
        shared.close()

    def _watch(self, channel: Channel, peer: socket.socket) -> None:
        """As ``_serve_peer``, once the rings are attached: until the peer leaves.  Refused, Stopped."""
        poll = select.poll()
        for fd in (peer.fileno(), self._stop, self._attention):
            poll.register(fd, select.POLLIN)
        if self._listener:
            poll.register(self._listener, select.POLLIN)
        write, since = 0, 0.0
        while True:
            ready = {fd for fd, _ in poll.poll(BLOCKED_S * 1000)}
            if self._stop in ready:
                raise Stopped
            if self.memif.fault:
                self._faults += 1
                raise Refused(f"the peer wrote {FAULTS[self.memif.fault]}")
            if (now := self.memif.writing) != write:
                write, since = now, time.monotonic()
            elif write and time.monotonic() - since >= BLOCKED_S:
                raise Refused("the peer's eventfd blocks")
            if self._listener and self._listener.fileno() in ready:
                self._turn_away()
            if peer.fileno() in ready and self._has_left(channel):
                return

    def _has_left(self, channel: Channel) -> bool:
        """Whether the peer has closed the connection, once what it sent was taken; Refused: it said something else."""
        try:
            kind, _, fds = channel.receive()
        except Left:
            self._wait_until_drained()
            return True
        close_all(fds)
        raise Refused(f"the peer sent {kind.name} while it was connected")

    def _wait_until_drained(self) -> None:
        limit = time.monotonic() + DRAIN_LIMIT_S
        while self.memif.waiting and not self.memif.fault and time.monotonic() < limit:
            time.sleep(0.002)

    def _turn_away(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.accept()[0].close()

    def _report(self, words: str) -> None:
        """A line for the log, unless it was the last one."""
        if words != self._last_news:
            self._last_news = words
            with self._lock:
                self._news.append(f"port memif:{self.name}: {words}")


def split_options(name: str) -> tuple[str, str, Options]:
    """Path, role and other options of PATH[?OPTION=VALUE&...].  ConfigError."""
    path, question, rest = name.partition("?")
    values: dict[str, str] = {}
    for option in rest.split("&") if question else []:
        key, _, value = option.partition("=")
        if key not in ("role", *RANGES) or key in values:
            raise ConfigError(
                f"port option {option!r} is unknown or repeated: expected role=, id=, ring= or buffer=",
                code=ErrorCode.BAD_URL,
            )
        values[key] = value
    role = values.pop("role", "client")
    if role not in ROLES:
        raise ConfigError(f"port option 'role={role}' is unknown: expected role=client or role=server")
    numbers = {key: _number(key, value) for key, value in values.items()}
    buffer = numbers.get("buffer", 2048)
    if buffer % 64:
        raise ConfigError(f"port option 'buffer={buffer}' is no multiple of 64", code=ErrorCode.OUT_OF_RANGE)
    return path, role, Options(numbers.get("id", 0), numbers.get("ring", 10), buffer)


def _number(key: str, value: str) -> int:
    least, most = RANGES[key]
    if not value.isdecimal() or not value.isascii() or len(value) > 10 or not least <= int(value) <= most:
        raise ConfigError(
            f"port option '{key}={value}' is out of range ({least} to {most})", code=ErrorCode.OUT_OF_RANGE
        )
    return int(value)


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> MemifPort:
    """Connect or listen at the path in ``name``; ``netns``, ``persist``: no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"memif:{name}", queues)
    path, role, options = split_options(name)
    try:
        return MemifPort(listener.checked_path(path, f"memif:{name}"), role, options)
    except (OSError, RuntimeError) as error:
        raise listener.unavailable(f"memif:{name}", error) from error
