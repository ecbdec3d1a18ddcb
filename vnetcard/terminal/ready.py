"""Waiting for descriptors by poll(2): select(2) takes none above 1023, which a process with many of them has."""

from __future__ import annotations

import errno
import math
import os
import select
from collections.abc import Iterable
from typing import Protocol


class _WithDescriptor(Protocol):
    def fileno(self) -> int: ...


def readable(sources: Iterable[int | _WithDescriptor], timeout: float | None) -> list[int]:
    """The descriptors that can be read, or have ended; empty if none can within ``timeout`` seconds (None: no limit).

    Raises OSError (EBADF) for one that is closed.
    """
    return _ready(sources, select.POLLIN, timeout)


def writable(source: int | _WithDescriptor, timeout: float | None) -> bool:
    """Whether a write to ``source`` makes progress, or fails, within ``timeout`` seconds; else as ``readable``."""
    return bool(_ready([source], select.POLLOUT, timeout))


def _ready(sources: Iterable[int | _WithDescriptor], events: int, timeout: float | None) -> list[int]:
    poll = select.poll()
    for source in sources:
        poll.register(source, events)
    found = poll.poll(None if timeout is None else math.ceil(1000 * timeout))
    if any(what & select.POLLNVAL for _, what in found):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return [fd for fd, _ in found]
