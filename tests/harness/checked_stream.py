"""One TCP connection whose every byte is known: what arrives changed, twice, late or not at all is noticed.

``checked_stream.py receive IP PORT SEED FILE`` and ``... send IP PORT SEED FILE`` are run in two network
namespaces; each keeps its position in FILE (8 bytes, little-endian).  SIGTERM ends the sender after a whole
chunk, the receiver ends with the connection; each then prints its position.  ``Stream`` runs both for a test.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CHUNK = 32 << 10
TCP_TIMEOUT_S = 600
"""A connection is given up by its kernel only after this long without an answer."""
TCP_RTO_MAX_MS = 44
"""Linux include/uapi/linux/tcp.h"""


def chunk(seed: int, number: int) -> bytes:
    """The CHUNK bytes of the stream that begin at ``number * CHUNK``."""
    return random.Random((seed << 64) | number).randbytes(CHUNK)


def receive(connection: socket.socket, seed: int, progress: int) -> int:
    """Verify until the sender closes; the position then.  ValueError names the first wrong byte."""
    position = 0
    expected = b""
    while piece := connection.recv(1 << 20):
        while len(expected) < len(piece):
            expected += chunk(seed, (position + len(expected)) // CHUNK)
        if not expected.startswith(piece):
            at = next(n for n, byte in enumerate(piece) if byte != expected[n])
            raise ValueError(f"byte {position + at} is {piece[at]:#04x}, was sent as {expected[at]:#04x}")
        expected = expected[len(piece) :]
        position += len(piece)
        os.pwrite(progress, position.to_bytes(8, "little"), 0)
    return position


def send(connection: socket.socket, seed: int, progress: int) -> int:
    """Send until SIGTERM; the position then."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    position = 0
    while not stopped:
        connection.sendall(chunk(seed, position // CHUNK))
        position += CHUNK
        os.pwrite(progress, position.to_bytes(8, "little"), 0)
    return position


def main(role: str, address: str, port: str, seed: str, file: str) -> None:
    progress = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    at = (address, int(port))
    if role == "send":
        connection = socket.create_connection(at, timeout=30)
    else:
        listener = socket.create_server(at)
        print("listening", flush=True)
        connection, _ = listener.accept()
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_TIMEOUT_S * 1000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):  # Linux 6.15: ask again every second at least
        connection.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, 1000)
    # Small buffers: less to drain before the link is at rest.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    position = (send if role == "send" else receive)(connection, int(seed), progress)
    connection.close()
    print(position, flush=True)


class Stream:
    """Sender and receiver between two namespaces, each in its network with its address."""

    def __init__(self, sender: str, receiver: str, address: str, folder: Path, *, seed: int, port: int = 5301) -> None:
        """Returns once bytes arrive.  ``address`` is the receiver's."""
        self._files = [folder / f"{role}-{port}" for role in ("receive", "send")]
        self._processes: list[subprocess.Popen[str]] = []
        try:
            for role, netns, file in zip(("receive", "send"), (receiver, sender), self._files, strict=True):
                command = [sys.executable, __file__, role, address, str(port), str(seed), str(file)]
                process = subprocess.Popen(
                    ["ip", "netns", "exec", netns, *command],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                self._processes.append(process)
                if role == "receive" and process.stdout and process.stdout.readline() != "listening\n":
                    raise AssertionError(f"the receiver did not start: {process.communicate()[1]}")
            self.wait_progress(since=0)
        except BaseException:
            self.kill()
            raise

    @property
    def position(self) -> int:
        """How many bytes have arrived and were right."""
        try:
            return int.from_bytes(self._files[0].read_bytes(), "little")
        except FileNotFoundError:
            return 0

    def wait_progress(self, *, since: int, limit: float = 60.0) -> float:
        """Return the seconds until more than ``since`` bytes have arrived."""
        began = time.monotonic()
        while self.position <= since:
            for process, role in zip(self._processes, ("receiver", "sender"), strict=True):
                if process.poll() is not None:
                    raise AssertionError(f"the {role} has ended: {process.communicate()}")
            assert time.monotonic() - began < limit, f"no byte more than {since} arrived within {limit} s"
            time.sleep(0.002)
        return time.monotonic() - began

    def pause(self) -> None:
        """Stop the sender; what the kernels have taken still arrives."""
        self._processes[1].send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._processes[1].send_signal(signal.SIGCONT)

    def finish(self, *, limit: float = 60.0) -> int:
        """End both; the length of the stream, which arrived whole and unchanged."""
        receiver, sender = self._processes
        self.resume()
        sender.terminate()
        sent, sender_error = sender.communicate(timeout=limit)
        received, error = receiver.communicate(timeout=limit)
        assert (sender.returncode, receiver.returncode) == (0, 0), f"{sender_error}\n{error}"
        assert int(received) == int(sent)
        return int(sent)

    def kill(self) -> None:
        """Kill both ends if they still run."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
