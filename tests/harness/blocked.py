"""Pipes and sockets that are full because no process reads them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

GENEROUS = 60.0
FILLER = b"." * 64


class FullPipe:
    """A pipe without room; other processes write to ``path``."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._write_end, FILLER)
        self.path = f"/proc/{os.getpid()}/fd/{self._write_end}"

    def read_until(self, wanted: Callable[[str], bool]) -> str:
        """Read until ``wanted`` accepts what was read, without the filling."""
        text, deadline = b"", time.monotonic() + GENEROUS
        while not wanted(text.decode()):
            assert select.select([self.read_end], [], [], deadline - time.monotonic())[0], text.decode()
            text = (text + os.read(self.read_end, 65536)).replace(FILLER, b"")
        return text.decode()

    def empty(self) -> str:
        """Read what is there, without the filling."""
        text = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                text += os.read(self.read_end, 65536)
        return text.replace(FILLER, b"").decode()

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self._write_end)


class FullSocket:
    """A datagram socket without room, as a service manager's that hangs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(FILLER, socket.MSG_DONTWAIT, str(path))

    def receive(self, wanted: bytes) -> None:
        """Read messages until one contains ``wanted``."""
        self._socket.settimeout(GENEROUS)
        while wanted not in self._socket.recv(65536):
            pass

    def close(self) -> None:
        self._socket.close()
