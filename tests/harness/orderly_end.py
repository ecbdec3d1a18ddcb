"""SIGTERM ends a test run as Ctrl-C does: the running test is interrupted, and the ends of all its fixtures run.

Without this a run that is ended by SIGTERM, as by ``timeout`` or a build server, leaves its network namespaces and
shared memory behind.  With several processes (xdist) the first one passes the signal on to the others.  A signal during
the end of a fixture takes effect after it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.side_by_side import is_worker

WORKER_END_S = 15
"""Seconds that the first process gives the others to end: as many as execnet gives a worker's tests."""


class OrderlyEnd:
    """The plug-in; it lives in each process that runs tests, and in the one that they report to."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_worker = is_worker(config)
        self._workers: list[int] = []
        self._received = self._ending_fixtures = False
        self._forks = threading.local()
        signal.signal(signal.SIGTERM, self._end)
        os.register_at_fork(before=self._block, after_in_parent=self._restore, after_in_child=self._forget)

    def _block(self) -> None:
        self._forks.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _restore(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forks.mask)

    def _forget(self) -> None:
        """A process that a test forks ends by SIGTERM as any other, also by one that came during the fork."""
        if signal.getsignal(signal.SIGTERM) == self._end:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._restore()

    def _end(self, _number: int, _frame: object) -> None:
        if not self._received:
            self._received = True
            if self._is_worker:  # execnet interrupts a worker that has not ended after 5 s: it is ending already
                signal.signal(signal.SIGINT, lambda *_: None)
            for pid in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if not self._ending_fixtures:
                raise KeyboardInterrupt("SIGTERM")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Note a new worker of xdist."""
        self._workers.append(node.gateway._io.popen.pid)
        node.nodemanager.EXIT_TIMEOUT = WORKER_END_S

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Let the ends of fixtures run to their own end."""
        self._ending_fixtures = True
        try:
            return (yield)
        finally:
            self._ending_fixtures = False
            if self._received:
                raise KeyboardInterrupt("SIGTERM")
