"""What the control channels of the ring ports have in common: how a connection ends, waiting, descriptors of a peer."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ANSWER_LIMIT: Final = 10.0
"""Seconds for the peer to send a message that is due, or the rest of one."""


class Refused(Exception):
    """The connection ends; the message says why, in words for the peer and for the log."""


class Left(Refused):
    """The peer has closed the connection, or said that it does."""


class Stopped(Exception):
    """The port is closed."""


def await_readable(peer: socket.socket, stop: int, limit: float | None) -> None:
    """Return once ``peer`` can be read; Stopped once ``stop`` can be, Refused after ``limit`` seconds."""
    poll = select.poll()
    poll.register(peer, select.POLLIN)
    poll.register(stop, select.POLLIN)
    ready = [fd for fd, _ in poll.poll(None if limit is None else limit * 1000)]
    if stop in ready:
        raise Stopped
    if not ready:
        raise Refused(f"the peer sent nothing for {limit:g} s")


def text_of(field: bytes) -> str:
    """What a peer calls something, without what could harm a terminal."""
    text = field.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)


def close_all(fds: list[int]) -> None:
    """Close what a peer has sent."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


@contextlib.contextmanager
def one_of(fds: list[int], what: str) -> Iterator[int]:
    """The one descriptor of a message, which is closed afterwards; Refused for another number of them."""
    try:
        if len(fds) != 1:
            raise Refused(f"the peer sent {len(fds)} descriptors instead of {what}")
        yield fds[0]
    finally:
        close_all(fds)


def pause(stop: int, seconds: float) -> None:
    """Wait; Stopped at once when the port is closed."""
    if select.select([stop], [], [], seconds)[0]:
        raise Stopped


def own_eventfd(fd: int, what: str) -> int:
    """A copy of ``fd``, a peer's eventfd, that does not block; Refused: ``what`` is another kind of file.  OSError."""
    if str(Path(f"/proc/self/fd/{fd}").readlink()) != "anon_inode:[eventfd]":
        raise Refused(f"{what} is not an eventfd")
    own = os.dup(fd)
    os.set_blocking(own, False)
    return own


class Brake:
    """Lets a thread that ``stop`` ends take ``steps`` steps per second, the first of them at once."""

    def __init__(self, steps: int, stop: int) -> None:
        self._steps, self._stop = steps, stop
        self._since, self._taken = time.monotonic(), 0

    def step(self) -> None:
        """Return once the next step may be taken.  Stopped."""
        now = time.monotonic()
        if now - self._since >= 1.0:
            self._since, self._taken = now, 0
        elif self._taken >= self._steps:
            pause(self._stop, self._since + 1.0 - now)
            self._since, self._taken = time.monotonic(), 0
        self._taken += 1
