"""The guest's main program: runs commands for the host, over a virtio serial port.

The protocol is lines of JSON.  From the host: ``{"start": ID, "argv": [...]}``, ``{"input": ID, "text": "..."}`` and
``{"signal": ID, "number": N}``.  To the host: ``{"ready": "..."}`` once; for each command ``{"id": ID, "out": "..."}``
and ``"err"`` with its output, and ``{"id": ID, "exit": STATUS}`` at its end.  It uses Python's standard library only.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from typing import Any

PIECE = 32768


class Server:
    """The running commands, and the port to the host."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._selector.register(port, selectors.EVENT_READ, None)
        self._commands: dict[int, subprocess.Popen[bytes]] = {}
        self._open: dict[int, int] = {}
        self._line = b""

    def serve(self) -> None:
        """Serve indefinitely."""
        self._send(ready=f"{os.uname().release} {os.uname().machine}, Python {sys.version.split()[0]}")
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._receive()
                else:
                    self._forward(key.fd, *key.data)

    def _send(self, **what: Any) -> None:
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[os.write(self._port, data) :]

    def _receive(self) -> None:
        *lines, self._line = (self._line + os.read(self._port, PIECE)).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "start" in request:
                self._start(request["start"], request["argv"])
            elif "input" in request:
                self._input(request["input"], request["text"])
            else:
                self._signal(request["signal"], request["number"])

    def _start(self, number: int, argv: list[str]) -> None:
        pipe = subprocess.PIPE
        try:
            command = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            self._send(id=number, err=f"{argv[0]}: {error.strerror}\n")
            self._send(id=number, exit=127)
            return
        self._commands[number] = command
        self._open[number] = 2
        for name, stream in (("out", command.stdout), ("err", command.stderr)):
            assert stream is not None
            self._selector.register(stream.fileno(), selectors.EVENT_READ, (number, name))

    def _input(self, number: int, text: str) -> None:
        """Write all of a command's input, and close it."""
        command = self._commands.get(number)
        if command is not None and command.stdin is not None:
            command.stdin.write(text.encode())
            command.stdin.close()

    def _signal(self, number: int, what: int) -> None:
        """Send a signal to the command and all that it has started."""
        command = self._commands.get(number)
        if command is not None:
            os.killpg(command.pid, what)

    def _forward(self, fd: int, number: int, name: str) -> None:
        """Forward output of a command, or at its end the exit status."""
        if data := os.read(fd, PIECE):
            self._send(id=number, **{name: data.decode(errors="backslashreplace")})
            return
        self._selector.unregister(fd)
        self._open[number] -= 1
        if not self._open[number]:
            command = self._commands.pop(number)
            status = command.wait()
            for stream in (command.stdin, command.stdout, command.stderr):
                assert stream is not None
                stream.close()
            self._send(id=number, exit=status)


def main() -> None:
    """Serve on the port in the argument; the guest ends with this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Server(os.open(sys.argv[1], os.O_RDWR)).serve()


if __name__ == "__main__":
    main()
