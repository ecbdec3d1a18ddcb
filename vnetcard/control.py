"""The control socket: an agent answers questions about itself on a UNIX socket, mode 0600.

One line in, one line out, both JSON: ``{"ask": "status"}``.  The socket's folder is $VNETCARD_RUN_DIR, or
/run/vnetcard for root, or $XDG_RUNTIME_DIR/vnetcard, or /tmp/vnetcard-UID; the file is named after window
and side, so that a second window's agents have theirs beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vnetcard import layout as L
from vnetcard.errors import ConfigError, PeerGone

ANSWER_LIMIT = 5.0
"""Seconds that either side waits for the other's line."""
LINE_MAX = 1 << 20


def folder() -> Path:
    """Where the sockets of this user's agents are."""
    if named := os.environ.get("VNETCARD_RUN_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/vnetcard")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "vnetcard"
    return Path(f"/tmp/vnetcard-{os.geteuid()}")


def socket_path(window: str, side: int) -> Path:
    """The socket of the agent on ``side`` of ``window`` (its URL without a size)."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", window)[-60:]
    return folder() / f"{slug}.{L.SIDES[side]}.sock"


class ControlServer:
    """Answers in a thread of its own; ``answer`` is called there with the question's dict."""

    def __init__(self, path: Path, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Listen at ``path``; the window's lock is held, so what stands there is left from a killed agent."""
        self._path = path
        self._answer = answer
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.parent.stat().st_uid != os.geteuid():
                raise ConfigError(f"control socket: {path.parent} belongs to another user; set VNETCARD_RUN_DIR")
            path.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)
            try:
                self._socket.bind(str(path))
            finally:
                os.umask(before)
            self._socket.listen(8)
        except OSError as error:
            raise ConfigError(f"control socket {path}: {error.strerror or error}; set VNETCARD_RUN_DIR") from error
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # closed
            with client, contextlib.suppress(OSError, ValueError):
                client.settimeout(ANSWER_LIMIT)
                question = json.loads(_read_line(client))
                reply = self._answer(question) if isinstance(question, dict) else {"error": "not an object"}
                client.sendall(json.dumps(reply).encode() + b"\n")

    def close(self) -> None:
        """Stop answering and remove the socket."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: other agents live there
            self._path.parent.rmdir()


def _read_line(stream: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_MAX:
        piece = stream.recv(65536)
        if not piece:
            break
        line += piece
    return line


def ask(window: str, side: int, question: str) -> dict[str, Any]:
    """One question to an agent; PeerGone when none answers there, ConfigError when it may not be asked."""
    path = socket_path(window, side)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(ANSWER_LIMIT)
            client.connect(str(path))
            client.sendall(json.dumps({"ask": question}).encode() + b"\n")
            reply = json.loads(_read_line(client))
    except PermissionError as error:
        raise ConfigError(f"no permission for {path}: ask as the user who runs the agent") from error
    except (OSError, ValueError) as error:
        raise PeerGone(f"no {L.SIDES[side]} agent answers for {window} at {path}") from error
    if not isinstance(reply, dict):
        raise PeerGone(f"the {L.SIDES[side]} agent for {window} answered nonsense")
    return reply


def windows() -> list[str]:
    """The slugs of windows whose agents have a socket here, sorted."""
    names = {path.name.removesuffix(".sock").rpartition(".")[0] for path in folder().glob("*.sock")}
    return sorted(names)
