"""Two network namespaces and the programs that run in them: what most contenders consist of."""

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
"""Packets, as at vnetcard's own interfaces, so that all queues are of the same length."""
START_LIMIT, STOP_LIMIT = 20.0, 10.0
_numbers = itertools.count()


class Namespaces:
    """Two namespaces, named after ``tag`` and this process, and the programs that were started in them."""

    def __init__(self, tag: str) -> None:
        unique = f"vnetcard-bench-{os.getpid()}-{next(_numbers)}-{tag}"
        self.names = (f"{unique}-a", f"{unique}-b")
        self._processes: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._made = contextlib.ExitStack()
        self.folder = Path()

    def open(self) -> None:
        """Create the namespaces, and a folder for the programs' files."""
        make_namespaces(self._made, self.names)
        self.folder = Path(self._made.enter_context(tempfile.TemporaryDirectory(prefix="vnetcard-bench-")))

    @property
    def pids(self) -> tuple[int, ...]:
        """The programs' processes."""
        return tuple(process.pid for process, _ in self._processes)

    def run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program, which ends no later than this object; its output goes into a log."""
        with uninterrupted():
            log = self._made.enter_context(_log())
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # some programs end at the end of their input
                stdout=log,
                stderr=log,
                preexec_fn=_in_child,  # noqa: PLW1509 - as in lab.py
            )
            self._processes.append((process, log))
        return process

    def await_word(self, word: str) -> None:
        """Return once the program that was started last has printed ``word``; Invalid when it does not in time."""
        _, log = self._processes[-1]
        deadline = time.monotonic() + START_LIMIT
        while word not in _text(log):
            self.alive()
            if time.monotonic() > deadline:
                raise Invalid(f"the program did not print {word!r} within {START_LIMIT:.0f} s")
            time.sleep(0.001)

    def await_interface(self, side: int, name: str) -> None:
        """Return once the interface exists; Invalid when it does not in time."""
        command = ["ip", "-n", self.names[side], "link", "show", name]
        deadline = time.monotonic() + START_LIMIT
        while subprocess.run(command, capture_output=True, check=False).returncode:
            self.alive()
            if time.monotonic() > deadline:
                raise Invalid(f"interface {name} did not appear within {START_LIMIT:.0f} s")
            time.sleep(0.005)

    def alive(self) -> None:
        """Raise Invalid, with its last line of output, when one of the programs has ended."""
        for process, log in self._processes:
            if (status := process.poll()) is not None:
                last = (_text(log).strip().splitlines() or ["it printed nothing"])[-1]
                raise Invalid(f"{process.args!r} ended with status {status}: {last}")

    def set_up(self, side: int, interface: str, *, mtu: int) -> None:
        """Give an interface its MTU, queue and address, and bring it up."""
        namespace = self.names[side]
        ip("-n", namespace, "link", "set", interface, "mtu", str(mtu), "txqueuelen", str(TX_QUEUE), "up")
        ip("-n", namespace, "address", "add", f"{ADDRESSES[side]}/{BITS}", "dev", interface)

    def close(self) -> None:
        """End the programs and remove the namespaces with their interfaces."""
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


class NamespaceContender:
    """What contenders that consist of two namespaces and their programs share; a subclass adds ``start``."""

    interfaces = ("tun0", "tun0")
    offload = False

    def __init__(self, name: str) -> None:
        self._namespaces = Namespaces(name)
        self.namespaces = self._namespaces.names
        self.addresses = ADDRESSES

    @property
    def pids(self) -> tuple[int, ...]:
        return self._namespaces.pids

    def prepare(self) -> None:
        self._namespaces.open()

    def check(self) -> None:
        self._namespaces.alive()

    def close(self) -> None:
        self._namespaces.close()


def _in_child() -> None:
    """Let the program end with this process, and by signals, which are blocked at this moment."""
    die_with_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _log() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _text(log: IO[bytes]) -> str:
    """All that a program has written; read by offset, as the program may be writing at the same time."""
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")
