"""Lines for a descriptor that may block for ever, such as a pipe that is not read: no caller ever waits for it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from vnetcard.terminal import capabilities, threads
from vnetcard.terminal.ready import writable

KEPT: Final = 1000
"""Lines that wait to be written; later ones are dropped and counted."""


class LineWriter:
    """Writes lines to the descriptor ``fd`` in a thread of its own, which exists only while there are lines.

    ``describe`` gives the line that reports ``n`` dropped ones, which is written before the next line.
    """

    def __init__(self, fd: int, describe: Callable[[int], str]) -> None:
        self._fd = fd
        self._describe = describe
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._lines: deque[str] = deque()
        self._lost = 0
        self._thread: threads.Begin | None = None
        self.dropped = 0
        """Lines that were dropped since the start."""

    def put(self, line: str) -> None:
        """Write ``line``, without its end of line, soon and after the ones before it; returns at once."""
        with self._lock:
            if len(self._lines) >= KEPT:
                self._lost += 1
                self.dropped += 1
                return
            self._lines.append(line)
            if not self._idle.is_set() and not (self._thread and self._thread.failed):
                return
            self._idle.clear()
        try:
            self._thread = threads.Begin(self._run_apart)
        except RuntimeError:  # out of tasks
            self._run(may_block=False)

    def close(self, seconds: float) -> bool:
        """Wait until all lines are written, at most ``seconds``; False: they are lost, as the reader does not read."""
        if self._thread and self._thread.failed:
            self._run(may_block=False)
        return self._idle.wait(seconds)

    def _run_apart(self) -> None:
        capabilities.shed()
        self._run()

    def _run(self, *, may_block: bool = True) -> None:
        while True:
            with self._lock:
                if not self._lines:
                    self._idle.set()
                    return
                lost, self._lost = self._lost, 0
                line = self._lines.popleft()
            text = f"{self._describe(lost)}\n{line}\n" if lost else f"{line}\n"
            self._write(text.encode("utf-8", "backslashreplace"), may_block=may_block)

    def _write(self, data: bytes, *, may_block: bool) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed pipe, a full disk: the line is lost
            while data:
                if not may_block and not writable(self._fd, 0):
                    return
                piece = data if may_block else data[: select.PIPE_BUF]
                try:
                    data = data[os.write(self._fd, piece) :]
                except OSError as error:  # the descriptor is non-blocking in a process that shares it
                    if error.errno != errno.EAGAIN:
                        raise
                    writable(self._fd, None)
