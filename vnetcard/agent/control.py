"""The control socket: an agent answers requests on a UNIX socket, mode 0600.

Request and answer are one line of JSON each: ``{"ask": "status"}``.  With some answers a descriptor is lent for as long
as the client stays connected (``borrow``).  The socket's folder is $VNETCARD_RUN_DIR, or
/run/vnetcard for root, or $XDG_RUNTIME_DIR/vnetcard, or /tmp/vnetcard-UID; the file is named after window
and side, so that a second window's agents have theirs beside it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnetcard.agent.client_wait import ANSWER_LIMIT, NoAnswer, await_answer
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PeerGone, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.terminal import limits, threads
from vnetcard.terminal.ready import readable
from vnetcard.window import without_options
from vnetcard.window.run_folder import folder, retry, trusted_in
from vnetcard.window.trust import ALONE, Peer, Sharing, check_folders

LINE_MAX = 1 << 20
REFUSAL_PAUSE = 0.1
"""Seconds in which a server that is out of descriptors waits for a client to refuse, and for its request."""


def socket_path(window: str, side: int) -> Path:
    """The socket of the agent on ``side`` of ``window`` (its URL without a size; options do not count)."""
    window = without_options(window)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", window)
    if not re.fullmatch(r"[a-z]+:[A-Za-z0-9._-]{1,48}", window):  # the slug alone could be another window's too
        import hashlib  # loads OpenSSL

        slug = f"{slug[-40:]}~{hashlib.sha256(window.encode()).hexdigest()[:8]}"
    return folder() / f"{slug}.{L.SIDES[side]}.sock"


@dataclass(frozen=True, slots=True)
class Lease:
    """An answer with the descriptor ``fd``; ``end`` is called, in any thread, once the client has disconnected."""

    answer: dict[str, Any]
    fd: int
    end: Callable[[], None]


class ControlServer:
    """Answers in threads of its own, one per client, so that a silent client does not delay the others.

    ``answer`` is called there with the request's dict: one call at a time, and none after ``close``.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[dict[str, Any]], dict[str, Any] | Lease],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen at ``path``; the caller holds the window's lock, so a socket found there was left by a killed agent.

        ``settle`` is called between the making of folder and socket and the start of the threads, which have what this
        thread has then.  Raises ConfigError when the socket cannot be created.
        """
        self._path = path
        self._answer = answer
        self._answering = threading.Lock()
        self._borrowers: set[socket.socket] = set()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reserve: int | None = None
        made = not path.parent.exists()
        bound = False
        try:
            retry(lambda: self._bind(path))
            bound = True
            self._socket.listen(128)
        except (OSError, ConfigError) as error:
            self._socket.close()
            if bound:
                path.unlink(missing_ok=True)
            if made:
                _remove_if_empty(path.parent)
            if isinstance(error, ConfigError) or limits.name_of(error):
                raise
            raise ConfigError(
                f"control socket {path}: {error.strerror or error}; set VNETCARD_RUN_DIR", code=ErrorCode.CONTROL_SOCKET
            ) from error
        try:
            self._reserve = _open_reserve()
            settle()
            threads.Begin(self._serve).wait()
        except OSError:
            self.close()
            raise
        except (RuntimeError, MemoryError) as error:  # out of tasks
            self.close()
            number = errno.ENOMEM if isinstance(error, MemoryError) else errno.EAGAIN
            raise OSError(number, os.strerror(number)) from error

    def _bind(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.geteuid():
            raise ConfigError(
                f"control socket: {path.parent} belongs to another user; set VNETCARD_RUN_DIR",
                code=ErrorCode.CONTROL_SOCKET,
            )
        try:
            check_folders(path, str(path.parent), ALONE)  # as the clients do
        except WindowUnavailable as error:
            raise ConfigError(f"control socket: {error}; set VNETCARD_RUN_DIR", code=error.code) from error
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if self._closed:
                    return
                again = self._accept_in_need(error)
                if again is None:
                    continue
                client = again
            try:
                threads.Begin(self._talk, client)
            except RuntimeError:  # out of threads
                _refuse(client, limits.name_of(OSError(errno.EAGAIN, "")))

    def _accept_in_need(self, error: OSError) -> socket.socket | None:
        """After a failed accept(2): a client, where that works again; else it is refused with the reserve."""
        why = limits.name_of(error)
        if why is None or self._reserve is None:
            time.sleep(REFUSAL_PAUSE)
            return None
        with contextlib.suppress(OSError):
            if not readable([self._socket], REFUSAL_PAUSE):
                return None
            return self._socket.accept()[0]
        with contextlib.suppress(OSError):
            self._drop_reserve()
            _refuse(self._socket.accept()[0], why)
        with contextlib.suppress(OSError):
            self._reserve = _open_reserve()
        return None

    def _drop_reserve(self) -> None:
        fd, self._reserve = self._reserve, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            try:
                question = json.loads(_read_line(client))
            except (ValueError, RecursionError):
                question = None
            reply: dict[str, Any] | Lease = {
                "error": 'invalid request: expected a line of JSON such as {"ask": "status"}'
            }
            if isinstance(question, dict):
                with self._answering:
                    if self._closed:
                        return
                    try:
                        reply = self._answer(question)
                    except ValueError:  # the window was closed meanwhile
                        reply = {"error": "the window is lost; the agent opens it again"}
                    except (OSError, MemoryError) as error:
                        reply = {"error": limits.explained(error)}
                    if isinstance(reply, Lease):
                        self._borrowers.add(client)
            client.settimeout(ANSWER_LIMIT)
            if isinstance(reply, Lease):
                self._lend(client, reply)
            else:
                client.sendall(json.dumps(reply).encode() + b"\n")

    def _lend(self, client: socket.socket, lease: Lease) -> None:
        """Send the descriptor, and wait until the client or ``close`` ends the connection."""
        try:
            socket.send_fds(client, [json.dumps(lease.answer).encode() + b"\n"], [lease.fd])
            client.settimeout(None)
            client.recv(1)
        finally:
            lease.end()
            self._borrowers.discard(client)

    def close(self) -> None:
        """Stop answering, once a running answer is complete, end what is lent, and remove the socket."""
        with self._answering:
            self._closed = True
        for client in list(self._borrowers):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._drop_reserve()
        self._path.unlink(missing_ok=True)
        _remove_if_empty(self._path.parent)


def _open_reserve() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC)


def _refuse(client: socket.socket, why: str | None) -> None:
    """Say why there is no answer, as far as the client has room for it, and close the connection."""
    with contextlib.suppress(OSError), client:
        client.settimeout(REFUSAL_PAUSE)
        client.recv(LINE_MAX)  # unread, it would let the client see a reset connection instead of the answer
        client.sendall(json.dumps({"error": why}).encode() + b"\n")


def _remove_if_empty(path: Path) -> None:
    with contextlib.suppress(OSError):  # not empty: other agents use it
        path.rmdir()


def _read_line(stream: socket.socket) -> bytes:
    deadline = time.monotonic() + ANSWER_LIMIT
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_MAX:
        stream.settimeout(max(0.001, deadline - time.monotonic()))
        piece = stream.recv(65536)
        if not piece:
            break
        line += piece
    return line


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of the local agents of a window, host first; ``unresponsive``: by side, why an agent did not answer."""

    said: list[dict[str, Any]]
    unresponsive: dict[str, str]


def ask_all(window: str, question: str) -> Answers:
    """The same request to the local agents of ``window``; ConfigError when there is none."""
    answers = Answers([], {})
    for side in (L.HOST, L.CARD):
        try:
            answers.said.append(ask(window, side, question))
        except PeerGone as error:
            if error.unresponsive:
                answers.unresponsive[L.SIDES[side]] = str(error)
    if not answers.said and not answers.unresponsive:
        raise ConfigError(
            f"no agent for {window} answers in {folder()}: start vnetcard-x86 or vnetcard-fpga, or name its --window",
            code=ErrorCode.NO_AGENT,
        )
    return answers


@dataclass(frozen=True, slots=True)
class _Agent:
    """The agent that a request goes to; ``name`` and ``window`` for messages."""

    path: Path
    name: str
    window: str = ""

    @classmethod
    def of(cls, window: str, side: int) -> _Agent:
        return cls(socket_path(window, side), f"{L.SIDES[side]} agent", f" for {window}")

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """Errors of the connection become PeerGone or ConfigError."""
        who = f"the {self.name}{self.window}"
        try:
            yield
        except PermissionError as error:
            raise ConfigError(
                f"no permission for {self.path}: run this as the user of the agent", code=ErrorCode.CONTROL_SOCKET
            ) from error
        except NoAnswer as error:
            raise PeerGone(f"{who} {error}", unresponsive=True) from error
        except BlockingIOError as error:  # the backlog is full of clients that gave up
            raise PeerGone(f"{who} accepts no more requests: it is stopped or hangs", unresponsive=True) from error
        except (OSError, ValueError, RecursionError) as error:  # RecursionError: JSON that is nested too deep
            raise PeerGone(f"no {self.name} answers{self.window} at {self.path}") from error

    def put(self, client: socket.socket, question: dict[str, Any]) -> None:
        trusted = self._trusted()
        client.settimeout(ANSWER_LIMIT)
        client.connect(str(self.path))
        if not (peer := Peer.of(client)).is_trusted(trusted):
            raise ConfigError(f"{self.path} is served by {peer}, not by your agent", code=ErrorCode.WINDOW_UNTRUSTED)
        client.sendall(json.dumps(question).encode() + b"\n")
        await_answer(client)

    def _trusted(self) -> Sharing:
        """Whose answers are believed."""
        try:
            return trusted_in(self.path.parent)
        except WindowUnavailable as error:
            raise ConfigError(
                f"control sockets in {error}: run this as the agent's user, or set VNETCARD_RUN_DIR", code=error.code
            ) from error

    def checked(self, reply: object) -> dict[str, Any]:
        if not isinstance(reply, dict):
            raise PeerGone(f"the {self.name}{self.window} answered something else than a JSON object")
        if "error" in reply:
            raise PeerGone(
                f"the {self.name}{self.window} cannot answer: {reply['error']}", code=ErrorCode.AGENT_REFUSED
            )
        return reply

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self.talking(), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            self.put(client, question)
            reply = json.loads(_read_line(client))
        return self.checked(reply)


def ask(window: str, side: int, question: str, **more: str) -> dict[str, Any]:
    """The answer of an agent to a request; PeerGone when none answers, ConfigError without permission."""
    return _Agent.of(window, side).ask({"ask": question, **more})


def ask_all_agents(question: str) -> list[dict[str, Any]]:
    """The same request to all agents of this user, whatever their windows; the answers of those that answer."""
    answers = []
    for path in sorted(folder().glob("*.sock")):
        with contextlib.suppress(PeerGone, ConfigError):
            answers.append(_Agent(path, "agent").ask({"ask": question}))
    return answers


@contextlib.contextmanager
def borrow(window: str, side: int, question: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """The answer to ``question`` and the descriptor lent with it until the block ends; raises as ``ask``."""
    agent = _Agent.of(window, side)
    with contextlib.ExitStack() as stack:
        with agent.talking():
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            agent.put(client, question)
            line, fds, _, _ = socket.recv_fds(client, LINE_MAX, 1)
            for fd in fds:
                stack.callback(os.close, fd)
            reply = json.loads(line)
        answer = agent.checked(reply)
        if len(fds) != 1:
            raise PeerGone(f"the {agent.name}{agent.window} sent no descriptor: it may be of another version")
        yield answer, fds[0]
