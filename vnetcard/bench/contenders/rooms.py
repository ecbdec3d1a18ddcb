"""Two network namespaces, and processes of ours in them: what most ways are made of."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import die_with_parent, ip, make_namespaces, uninterrupted

ADDRESSES = ("10.10.10.1", "10.10.10.5")
BITS = 24
TX_QUEUE = 1000
"""Packets, as at vnetcard's own interfaces: none has a longer queue than another."""
START_LIMIT, STOP_LIMIT = 20.0, 10.0
_numbers = itertools.count()


class Rooms:
    """Two namespaces, named after ``tag`` and this process, and the programs that were started for them."""

    def __init__(self, tag: str) -> None:
        unique = f"vnetcard-bench-{os.getpid()}-{next(_numbers)}-{tag}"
        self.namespaces = (f"{unique}-a", f"{unique}-b")
        self._processes: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._made = contextlib.ExitStack()
        self.folder = Path()

    def open(self) -> None:
        """Make the namespaces, and a folder for what the programs need."""
        make_namespaces(self._made, self.namespaces)
        self.folder = Path(self._made.enter_context(tempfile.TemporaryDirectory(prefix="vnetcard-bench-")))

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the programs."""
        return tuple(process.pid for process, _ in self._processes)

    def run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program, which lives no longer than this object; what it says goes into a log."""
        with uninterrupted():
            log = self._made.enter_context(_log())
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # some end when theirs does
                stdout=log,
                stderr=log,
                preexec_fn=_in_child,  # noqa: PLW1509 - as in lab.py
            )
            self._processes.append((process, log))
        return process

    def await_word(self, word: str) -> None:
        """Return once the program that was started last has said ``word``; Invalid when it never does."""
        _, log = self._processes[-1]
        deadline = time.monotonic() + START_LIMIT
        while word not in _text(log):
            self.alive()
            if time.monotonic() > deadline:
                raise Invalid(f"no {word!r} within {START_LIMIT:.0f} s")
            time.sleep(0.001)

    def await_interface(self, side: int, name: str) -> None:
        """Return once the interface is there; Invalid when it never is."""
        command = ["ip", "-n", self.namespaces[side], "link", "show", name]
        deadline = time.monotonic() + START_LIMIT
        while subprocess.run(command, capture_output=True, check=False).returncode:
            self.alive()
            if time.monotonic() > deadline:
                raise Invalid(f"interface {name} did not come within {START_LIMIT:.0f} s")
            time.sleep(0.005)

    def alive(self) -> None:
        """Invalid, with its last words, when one of the programs has ended."""
        for process, log in self._processes:
            if (status := process.poll()) is not None:
                words = (_text(log).strip().splitlines() or ["it said nothing"])[-1]
                raise Invalid(f"{process.args!r} ended with status {status}: {words}")

    def set_up(self, side: int, interface: str, *, mtu: int) -> None:
        """Give an interface its MTU, queue and address, and bring it up."""
        namespace = self.namespaces[side]
        ip("-n", namespace, "link", "set", interface, "mtu", str(mtu), "txqueuelen", str(TX_QUEUE), "up")
        ip("-n", namespace, "address", "add", f"{ADDRESSES[side]}/{BITS}", "dev", interface)

    def close(self) -> None:
        """End the programs and remove the namespaces, with what is in them."""
        with uninterrupted():
            for process, _ in self._processes:
                process.terminate()
            for process, _ in self._processes:
                try:
                    process.communicate(timeout=STOP_LIMIT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            self._processes.clear()
            self._made.close()


def _in_child() -> None:
    """The program ends with us, and by a signal: it must not inherit that we block them just now."""
    die_with_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _log() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _text(log: IO[bytes]) -> str:
    """All that a program has written; read by offset, as it writes on at the same time."""
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")
