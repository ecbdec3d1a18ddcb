"""Waiting for a device's interrupts: UIO, eventfds of VFIO, and the user interrupts of Xilinx's XDMA."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vnetcard.terminal import capabilities

FIRST_LIMIT: Final = 1.0
"""Seconds for the first interrupt to come; without one the handler is called periodically until one comes.

A link that starts causes interrupts.  XDMA's driver makes sixteen event devices whatever the design has, so a wrong
number, or an interrupt that is not wired, shows in no other way.
"""
POLL_EVERY: Final = 0.005
"""Seconds between two calls of the handler without interrupts."""


class IrqListener:
    """A thread that calls ``handler`` for each interrupt of ``source``, and periodically when none can come.

    ``source`` is a device that returns four bytes per interrupt, or an eventfd, which stays open.  ``unmask`` is
    written to it before each wait, as a UIO device demands, which keeps its interrupt masked otherwise.

    ``interrupts`` counts interrupts, ``polls`` the calls without one; ``problem`` says why there were such calls, or
    is ''.  An error of the device (EIO, a failed write, its end) is final; silence ends with the first interrupt.
    """

    def __init__(self, source: Path | int, handler: Callable[[], None], *, unmask: bytes = b"") -> None:
        """Raises OSError: the device cannot be opened."""
        if isinstance(source, int):
            self._fd, self._count, self.name = os.dup(source), 8, "the eventfd"
        else:
            mode = os.O_RDWR if unmask else os.O_RDONLY
            self._fd, self._count = os.open(source, mode | os.O_CLOEXEC | os.O_NONBLOCK), 4
            self.name = str(source)
        self._handler, self._unmask = handler, unmask
        self.interrupts = self.polls = 0
        self.problem = ""
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="vnetcard irq", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        capabilities.shed()
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            why = self._listen()
        except OSError as error:
            why = f"{self.name} failed ({error.strerror})"
        if why is None:
            return
        self.problem = f"{why}: polling"
        end = select.poll()
        end.register(self._end_read, select.POLLIN)
        while not end.poll(POLL_EVERY * 1000):
            self._poll()

    def _poll(self) -> None:
        self.polls += 1
        self._handler()

    def _listen(self) -> str | None:
        """Until ``close``, which returns None, or until the device ends, which returns why; raises OSError."""
        poll = select.poll()
        poll.register(self._end_read, select.POLLIN)
        poll.register(self._fd, select.POLLIN)
        limit: float | None = FIRST_LIMIT
        while True:
            if self._unmask:
                os.write(self._fd, self._unmask)
            ready = dict(poll.poll(None if limit is None else limit * 1000))
            if self._end_read in ready:
                return None
            if not ready:
                self.problem = f"no interrupt from {self.name} in its first {FIRST_LIMIT:.0f} s: polling; is it wired?"
                limit = POLL_EVERY
                self._poll()
                continue
            try:
                if not os.read(self._fd, self._count):
                    return f"{self.name} has ended"
            except BlockingIOError:
                continue
            self.interrupts += 1
            self.problem, limit = "", None
            self._handler()

    def close(self) -> None:
        """End the thread.  ``handler`` is not called afterwards."""
        os.write(self._end_write, b"x")
        self._thread.join()
        for fd in (self._fd, self._end_read, self._end_write):
            os.close(fd)
