"""Listening to a device that lets a read through for each interrupt: UIO, and the events of Xilinx's XDMA."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path


class IrqListener:
    """A thread that reads ``source`` and calls ``heard`` each time.

    ``source`` is a device, which gives four bytes an interrupt, or an eventfd, which stays open.  ``arm`` is written
    ahead of each wait, if the device must be told that it may interrupt again.
    """

    def __init__(self, source: Path | int, heard: Callable[[], None], *, arm: bytes = b"") -> None:
        """Raises OSError."""
        if isinstance(source, int):
            self._fd, self._count = os.dup(source), 8
        else:
            mode = os.O_RDWR if arm else os.O_RDONLY
            self._fd, self._count = os.open(source, mode | os.O_CLOEXEC | os.O_NONBLOCK), 4
        self._heard, self._arm = heard, arm
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="vnetcard eventfds", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        poll = select.poll()
        poll.register(self._end_read, select.POLLIN)
        poll.register(self._fd, select.POLLIN)
        try:
            while True:
                if self._arm:
                    os.write(self._fd, self._arm)
                if self._end_read in dict(poll.poll()):
                    return
                try:
                    if not os.read(self._fd, self._count):
                        return  # a stand-in that ended; a device never does
                except BlockingIOError:
                    continue
                self._heard()
        except OSError:
            return  # the device is gone, which the next access to it will say

    def close(self) -> None:
        """End the thread."""
        os.write(self._end_write, b"x")
        self._thread.join()
        for fd in (self._fd, self._end_read, self._end_write):
            os.close(fd)
